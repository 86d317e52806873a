#include "config/tar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace provisioner::tar {
namespace {

// POSIX.1-1988 (ustar): every field is text, numbers are octal and end with NUL.
struct Block {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type[1], link[100],
      magic[6], version[2], user[32], group[32], device_major[8], device_minor[8], prefix[155],
      unused[12];
};
static_assert(sizeof(Block) == kBlock);

template <std::size_t N>
void put_text(char (&field)[N], std::string_view text) {
  std::memcpy(field, text.data(), std::min(N, text.size()));
}

template <std::size_t N>
void put_octal(char (&field)[N], std::size_t number) {
  put_text(field, fmt::format("{:0{}o}", number, N - 1));
}

template <std::size_t N>
std::string_view get_text(const char (&field)[N]) {
  const std::string_view all(field, N);
  return all.substr(0, all.find('\0'));
}

template <std::size_t N>
std::optional<std::size_t> get_octal(const char (&field)[N]) {
  std::size_t number = 0;
  const auto text = get_text(field);
  if (text.empty()) return std::nullopt;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    number = number * 8 + static_cast<std::size_t>(c - '0');
  }
  return number;
}

std::size_t checksum(Block block) {
  std::memset(block.checksum, ' ', sizeof block.checksum);
  std::size_t sum = 0;
  for (const unsigned char byte : std::string_view(reinterpret_cast<const char*>(&block), kBlock)) {
    sum += byte;
  }
  return sum;
}

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(ErrorKind::kCorrupt, fmt::format("not a bundle: {}", what));
}

}  // namespace

Status append_header(std::string& archive, const Header& header) {
  Block block{};
  std::string_view name = header.path;
  if (name.size() > sizeof block.name) {
    // The longest possible tail goes into `name`, the rest into `prefix`, split at a '/'.
    const auto slash = name.find('/', name.size() - sizeof block.name - 1);
    if (slash == std::string_view::npos || slash == 0 || slash > sizeof block.prefix ||
        slash + 1 == name.size()) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("{}: the path is too long for a bundle (255 bytes, 100 a name)",
                              header.path));
    }
    put_text(block.prefix, name.substr(0, slash));
    name.remove_prefix(slash + 1);
  }
  if (header.link_target.size() > sizeof block.link) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: the link's target is longer than 100 bytes", header.path));
  }
  put_text(block.name, name);
  const bool runs = header.executable || header.type != Type::kFile;
  put_octal(block.mode, runs ? 0755 : 0644);
  put_octal(block.uid, 0);
  put_octal(block.gid, 0);
  put_octal(block.size, header.size);
  put_octal(block.mtime, 0);
  block.type[0] = static_cast<char>(header.type);
  put_text(block.link, header.link_target);
  put_text(block.magic, std::string_view("ustar\0", 6));
  put_text(block.version, "00");
  put_text(block.checksum, fmt::format("{:06o}", checksum(block)));
  block.checksum[7] = ' ';
  archive.append(reinterpret_cast<const char*>(&block), kBlock);
  return {};
}

void append_padding(std::string& archive) {
  archive.resize((archive.size() + kBlock - 1) / kBlock * kBlock, '\0');
}

void append_end(std::string& archive) { archive.append(2 * kBlock, '\0'); }

Result<std::optional<Header>> Reader::next() {
  if (next_ + kBlock > archive_.size()) return corrupt("it ends early");
  Block block;
  std::memcpy(&block, archive_.data() + next_, kBlock);
  if (block.name[0] == '\0') {
    const auto rest = archive_.substr(next_);
    if (rest.find_first_not_of('\0') != std::string_view::npos) return corrupt("a header is empty");
    return std::nullopt;
  }
  if (std::string_view(block.magic, 5) != "ustar" || get_octal(block.checksum) != checksum(block)) {
    return corrupt("a header is damaged");
  }
  const auto size = get_octal(block.size);
  const auto mode = get_octal(block.mode);
  if (!size || !mode || *size > archive_.size()) return corrupt("a size is wrong");
  Header header;
  header.path = get_text(block.name);
  if (const auto prefix = get_text(block.prefix); !prefix.empty()) {
    header.path = fmt::format("{}/{}", prefix, header.path);
  }
  switch (block.type[0]) {
    case '0':
    case '2':
    case '5': header.type = static_cast<Type>(block.type[0]); break;
    default: return corrupt(fmt::format("{} is neither file, link nor folder", header.path));
  }
  if (header.type != Type::kFile && *size != 0) return corrupt("a size is wrong");
  header.size = *size;
  header.executable = (*mode & 0100) != 0;
  header.link_target = get_text(block.link);
  content_ = next_ + kBlock;
  next_ += stored_size(*size);
  if (next_ > archive_.size()) return corrupt("it ends early");
  return header;
}

}  // namespace provisioner::tar
