// The log of an attempt on its way to the store: masked, bounded, kept whole in a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace provisioner::runner {

// Replaces each secret by "***", the longest first. Empty ones are ignored.
class Masks {
 public:
  explicit Masks(std::vector<std::string> secrets);
  std::string apply(std::string text) const;

 private:
  std::vector<std::string> secrets_;
};

// Loop only. Writes go to the page cache: nothing here waits for a disk.
class LogSpool {
 public:
  // After `limit` bytes one last line says that the output was cut.
  LogSpool(std::filesystem::path path, Masks masks, std::int64_t limit);
  ~LogSpool();
  LogSpool(const LogSpool&) = delete;
  LogSpool& operator=(const LogSpool&) = delete;

  // One or several lines of valid UTF-8 without the last newline.
  void append(std::string_view lines);

  std::int64_t size() const { return size_; }

  // At most `most` bytes from `offset` on, never ending inside a character.
  Result<std::string> read(std::int64_t offset, std::size_t most) const;

  const Masks& masks() const { return masks_; }

 private:
  void write(std::string_view text);

  std::filesystem::path path_;
  Masks masks_;
  std::int64_t limit_;
  std::int64_t size_ = 0;
  bool cut_ = false;
  int fd_ = -1;
};

}  // namespace provisioner::runner
