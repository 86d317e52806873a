// One daemon a state directory.
#pragma once

#include <filesystem>

#include "base/error.hpp"

namespace provisioner {

// Holds `provisioner.lock` of a directory until destruction or the end of the process. The file
// stays and names the last holder's pid.
class DirectoryLock {
 public:
  // kConflict when somebody holds it (names the pid), kIo when the file cannot be written.
  static Result<DirectoryLock> take(const std::filesystem::path& directory);

  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&&) = delete;
  ~DirectoryLock();

 private:
  explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace provisioner
