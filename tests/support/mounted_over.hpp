// Filesystems of a test's own: a full one, one that cannot be written to. For root, too.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

namespace provisioner::testing {

// Something mounted over a directory, seen by this process and the programs it starts, gone with
// the object. Moves this process into a mount namespace of its own (as an ordinary user: into a
// user namespace too, where it is root).
class MountedOver {
 public:
  // What of it this machine does not permit, with the reason; "" when all is well. Ask first, and
  // skip: the others throw.
  static std::string why_impossible();

  // An empty filesystem of at most `bytes`.
  static MountedOver small(const std::filesystem::path& directory, std::size_t bytes);
  // The directory as it is, but nobody can write to it.
  static MountedOver read_only(const std::filesystem::path& directory);

  ~MountedOver();
  MountedOver(MountedOver&& other) noexcept;
  MountedOver(const MountedOver&) = delete;
  MountedOver& operator=(const MountedOver&) = delete;

 private:
  explicit MountedOver(std::filesystem::path directory) : directory_(std::move(directory)) {}
  std::filesystem::path directory_;  // "" when moved away
};

// Takes all space that is left where `file` is, until it is removed.
void fill_up(const std::filesystem::path& file);

}  // namespace provisioner::testing
