// The part of the ustar format that bundles use: files, links and one folder, owned by nobody at
// time zero. For this room's .cpp files.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace provisioner::tar {

inline constexpr std::size_t kBlock = 512;

enum class Type : char { kFile = '0', kLink = '2', kFolder = '5' };

struct Header {
  std::string path;  // a folder's ends with '/'
  Type type = Type::kFile;
  std::size_t size = 0;  // of a file's content
  bool executable = false;
  std::string link_target;
};

// What a file of `size` bytes takes in an archive.
constexpr std::size_t stored_size(std::size_t size) {
  return kBlock + (size + kBlock - 1) / kBlock * kBlock;
}

// kInvalid: a path or link target that the format cannot hold (255 and 100 bytes).
Status append_header(std::string& archive, const Header& header);
// Fills the last block of a content up.
void append_padding(std::string& archive);
void append_end(std::string& archive);

// Reads headers one by one.
class Reader {
 public:
  explicit Reader(std::string_view archive) : archive_(archive) {}

  // The next header, or nullopt at the end. Its content, if any, is at content_offset() and skipped
  // by the next call. kCorrupt: not such an archive.
  Result<std::optional<Header>> next();
  std::size_t content_offset() const { return content_; }

 private:
  std::string_view archive_;
  std::size_t content_ = 0;
  std::size_t next_ = 0;
};

}  // namespace provisioner::tar
