// File descriptors and stable reads. For this room's .cpp files.
#pragma once

#include <cstddef>
#include <string>

#include "base/error.hpp"

namespace provisioner {

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int release();

 private:
  int fd_ = -1;
};

// Appends the whole file `name` below the folder `folder_fd` (AT_FDCWD for an absolute path) to
// `content`. `follow` says whether a symbolic link is read through. kUnavailable: the file changed
// while it was read. kInvalid: more than `most` bytes, or not a regular file. `shown` names the
// file in errors.
Status append_file(int folder_fd, const char* name, bool follow, std::size_t most,
                   const std::string& shown, std::string& content);

}  // namespace provisioner
