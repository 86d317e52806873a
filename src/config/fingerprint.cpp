#include "config/fingerprint.hpp"

#include <sodium.h>

#include <array>

#include "base/text.hpp"

namespace provisioner {

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest;
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size());
  return to_hex(digest);
}

}  // namespace provisioner
