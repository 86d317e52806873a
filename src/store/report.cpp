#include <fmt/format.h>
#include <sodium/crypto_hash_sha256.h>

#include <array>

#include "store/store.hpp"

namespace provisioner {

std::string content_of(const Definition& definition) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  for (const std::string* part :
       {&definition.bundle.value, &definition.inputs_hash, &definition.config}) {
    // Each with its length in front, so that no two definitions read alike.
    const std::string framed = fmt::format("{}:{}", part->size(), *part);
    crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(framed.data()),
                              framed.size());
  }
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256_final(&state, digest.data());
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

std::string reported_content(const Publication& publication) {
  return publication.folder_content.empty() ? content_of(publication.definition)
                                            : publication.folder_content;
}

std::string reported_content(const Workspace& workspace) {
  return workspace.folder_content.empty() ? content_of(workspace.current)
                                          : workspace.folder_content;
}

}  // namespace provisioner
