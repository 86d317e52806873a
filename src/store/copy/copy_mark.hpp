// The note beside an embedded store that says where its content went.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/error.hpp"

namespace provisioner {

// The file provisioner.db.copied. A daemon refuses to start on a store that was copied: it would
// schedule the same resources as the cluster, with states that the cluster has changed since.
struct CopyMark {
  std::string id;      // of the copy; the target's cluster_settings have it, too
  std::string target;  // "postgres://provisioner@db1:5432/provisioner"
  std::string at;      // when, for people
  bool done = false;   // false: its COMMIT was to be sent next, and nobody knows more

  static std::filesystem::path file_in(const std::filesystem::path& state_dir);

  // Nothing where there is none. kCorrupt, kIo.
  static Result<std::optional<CopyMark>> read(const std::filesystem::path& state_dir);
  // On the disk when it returns.
  Status write(const std::filesystem::path& state_dir) const;
  static Status remove(const std::filesystem::path& state_dir);
};

// kConflict for a store that was copied, or may have been: says where to, and what to do.
Status refuse_copied(const std::filesystem::path& state_dir);

}  // namespace provisioner
