#include "config/folder_mark.hpp"

#include <fcntl.h>

#include "config/bundle.hpp"
#include "config/files.hpp"
#include "config/fingerprint.hpp"
#include "config/workspace_file.hpp"

namespace provisioner {

bool holds_the_same(const std::filesystem::path& job_file, const FolderMark& mark) {
  std::string text;
  const auto read =
      append_file(AT_FDCWD, job_file.c_str(), true, kMostConfigBytes, job_file.string(), text);
  return read && sha256_hex(text) == mark.config_hash;
}

bool holds_the_same(const std::filesystem::path& workspaces_dir, const WorkspaceName& name,
                    const FolderMark& mark) {
  const auto folder = workspaces_dir / name.value;
  if (!holds_the_same(folder / "config.json", mark)) return false;
  const auto own = build_bundle(folder, mark.include);
  return own && own->hash == mark.own;
}

}  // namespace provisioner
