#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "base/text.hpp"
#include "config/bundle.hpp"
#include "config/bundle_paths.hpp"
#include "config/files.hpp"
#include "config/tar.hpp"

namespace provisioner {
namespace {

// Opens the folder `path` below `root`, making what is missing. No part is followed through a link:
// a link or file in the way, left by an earlier bundle, is removed.
Result<Descriptor> open_folder(int root, std::string_view path) {
  Descriptor folder(::openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) return fail_errno("opening the folder to unpack to", errno);
  if (path.empty()) return folder;
  for (const auto part : split(path, '/')) {
    const std::string name(part);
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
    Descriptor next(::openat(folder.get(), name.c_str(), kFlags));
    if (!next.is_open()) {
      if (errno == ELOOP || errno == ENOTDIR) ::unlinkat(folder.get(), name.c_str(), 0);
      if (::mkdirat(folder.get(), name.c_str(), 0755) != 0 && errno != EEXIST) {
        return fail_errno(fmt::format("making {}", path), errno);
      }
      next = Descriptor(::openat(folder.get(), name.c_str(), kFlags));
      if (!next.is_open()) return fail_errno(fmt::format("opening {}", path), errno);
    }
    folder = std::move(next);
  }
  return folder;
}

Status remove_old(int folder, const std::string& name, const std::string& shown) {
  if (::unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) {
    return fail_errno(fmt::format("replacing {}", shown), errno);
  }
  return {};
}

Status write_all(int fd, std::string_view content, const std::string& shown) {
  while (!content.empty()) {
    const auto count = ::write(fd, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(fmt::format("writing {}", shown), errno);
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Status write_entry(int root, const BundleEntry& entry, std::string_view content) {
  const auto slash = entry.path.rfind('/');
  const auto parent =
      open_folder(root, slash == std::string::npos ? "" : entry.path.substr(0, slash));
  if (!parent) return std::unexpected(parent.error());
  const auto name = slash == std::string::npos ? entry.path : entry.path.substr(slash + 1);
  if (auto removed = remove_old(parent->get(), name, entry.path); !removed) return removed;
  if (!entry.link_target.empty()) {
    if (::symlinkat(entry.link_target.c_str(), parent->get(), name.c_str()) != 0) {
      return fail_errno(fmt::format("linking {}", entry.path), errno);
    }
    return {};
  }
  const Descriptor file(::openat(parent->get(), name.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                                 entry.executable ? 0755 : 0644));
  if (!file.is_open()) return fail_errno(fmt::format("writing {}", entry.path), errno);
  return write_all(file.get(), content, entry.path);
}

}  // namespace

Result<BundleListing> list_bundle(std::string_view bytes) {
  const auto leads_out = [](const std::string& path) {
    return fail(ErrorKind::kCorrupt, fmt::format("not a bundle: {} leads out of it", path));
  };
  BundleListing listing;
  tar::Reader reader(bytes);
  std::set<std::string> paths;
  for (bool first = true;; first = false) {
    auto header = reader.next();
    if (!header) return std::unexpected(header.error());
    if (first && (!*header || (*header)->type != tar::Type::kFolder)) {
      return fail(ErrorKind::kCorrupt, "not a bundle: it does not begin with its folder");
    }
    if (!*header) return listing;
    auto& entry = **header;
    if (entry.type == tar::Type::kFolder) {
      if (!first || !entry.path.ends_with('/')) {
        return fail(ErrorKind::kCorrupt, "not a bundle: it names a second folder");
      }
      if (entry.path == "./") continue;
      entry.path.pop_back();
      if (!is_plain_path(entry.path)) return leads_out(entry.path);
      listing.folder = entry.path;
      continue;
    }
    if (!is_plain_path(entry.path)) return leads_out(entry.path);
    if (entry.type == tar::Type::kLink && !resolve_link(entry.path, entry.link_target)) {
      return leads_out(entry.path);
    }
    if (!paths.insert(entry.path).second) {
      return fail(ErrorKind::kCorrupt, fmt::format("not a bundle: {} is in it twice", entry.path));
    }
    listing.entries.push_back({std::move(entry.path), reader.content_offset(), entry.size,
                               entry.type == tar::Type::kLink ? std::move(entry.link_target) : "",
                               entry.executable});
  }
}

Result<std::filesystem::path> unpack_bundle(std::string_view bytes,
                                            const std::filesystem::path& directory) {
  // Checked as a whole before the first byte is written.
  const auto listing = list_bundle(bytes);
  if (!listing) return std::unexpected(listing.error());
  const Descriptor root(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.is_open()) return fail_errno(fmt::format("opening {}", directory.string()), errno);
  // Links last: no file is written through one of them.
  for (const bool links : {false, true}) {
    for (const auto& entry : listing->entries) {
      if (entry.link_target.empty() == links) continue;
      const auto done = write_entry(root.get(), entry, bytes.substr(entry.offset, entry.size));
      if (!done) {
        return fail(fmt::format("unpacking into {}", directory.string()), done.error());
      }
    }
  }
  if (const auto own = open_folder(root.get(), listing->folder); !own) {
    return std::unexpected(own.error());
  }
  return listing->folder.empty() ? directory : directory / listing->folder;
}

}  // namespace provisioner
