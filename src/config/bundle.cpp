#include "config/bundle.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <map>
#include <memory>

#include "base/text.hpp"
#include "config/bundle_paths.hpp"
#include "config/files.hpp"
#include "config/fingerprint.hpp"
#include "config/ignore.hpp"
#include "config/tar.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepestFolder = 64;
constexpr std::string_view kConfigFile = "config.json";
constexpr std::string_view kIgnoreFile = ".provisionerignore";

// A folder or file that goes in: the workspace's own, or an included one.
struct Source {
  fs::path path;        // absolute
  std::string archive;  // its path in the archive, "" = the archive's root
  std::string shown;    // for messages: "" or "../../modules"
  bool is_workspace = false;
  Descriptor fd;
  IgnorePatterns ignored;
};

// What will be read, by its path in the archive.
struct Found {
  const Source* source = nullptr;
  std::string relative;  // to the source; "" = the source itself, a file
  std::size_t size = 0;
  bool executable = false;
  std::string link_target;
};

std::string below(std::string_view folder, std::string_view name) {
  if (folder.empty()) return std::string(name);
  return name.empty() ? std::string(folder) : fmt::format("{}/{}", folder, name);
}

class Collector {
 public:
  explicit Collector(const std::vector<Source>& sources) : sources_(sources) {}

  Status collect(const Source& source) {
    struct stat status{};
    if (::fstat(source.fd.get(), &status) != 0) return fail_errno(source.shown, errno);
    if (S_ISDIR(status.st_mode)) {
      return walk(source, source.fd.get(), ".", "", 0);
    }
    return add({&source, "", static_cast<std::size_t>(status.st_size),
                (status.st_mode & S_IXUSR) != 0, ""});
  }

  const std::map<std::string, Found>& found() const { return found_; }
  std::size_t stored() const { return stored_; }

 private:
  Status add(Found found) {
    stored_ += tar::stored_size(found.size);
    if (found.size > largest_) {
      largest_ = found.size;
      largest_name_ = below(found.source->shown, found.relative);
    }
    if (stored_ > kMostBundleBytes) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("the content is larger than 64 MB (largest file so far: {}, {:.1f} "
                              "MB): name what tofu does not need in .provisionerignore",
                              largest_name_, static_cast<double>(largest_) / 1048576.0));
    }
    auto path = below(found.source->archive, found.relative);
    found_.insert_or_assign(std::move(path), std::move(found));
    return {};
  }

  Status walk(const Source& source, int at, const char* name, const std::string& relative,
              int depth) {
    const auto shown = below(source.shown, relative);
    if (depth > kDeepestFolder) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("{}: folders are nested more than {} deep", shown, kDeepestFolder));
    }
    const int fd = ::openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return changed_or_errno(shown, errno);
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::fdopendir(fd), ::closedir);
    if (folder == nullptr) {
      const int error = errno;
      ::close(fd);
      return fail_errno(fmt::format("reading {}", shown), error);
    }
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(folder.get());
      if (entry == nullptr) {
        if (errno != 0) return fail_errno(fmt::format("reading {}", shown), errno);
        return {};
      }
      const std::string_view entry_name(entry->d_name);
      if (entry_name == "." || entry_name == "..") continue;
      if (const auto done = visit(source, fd, entry->d_name, below(relative, entry_name), depth);
          !done) {
        return done;
      }
    }
  }

  Status visit(const Source& source, int folder_fd, const char* name, const std::string& relative,
               int depth) {
    struct stat status{};
    if (::fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return changed_or_errno(below(source.shown, relative), errno);
    }
    const bool is_folder = S_ISDIR(status.st_mode);
    if (is_never_content(name, is_folder) || source.ignored.ignores(relative, is_folder)) return {};
    if (depth == 0 && name == kIgnoreFile) return {};
    if (depth == 0 && source.is_workspace && name == kConfigFile) return {};
    if (is_folder) return walk(source, folder_fd, name, relative, depth + 1);
    if (S_ISLNK(status.st_mode)) return visit_link(source, folder_fd, name, relative);
    if (!S_ISREG(status.st_mode)) return {};  // sockets, pipes and devices are no content
    return add({&source, relative, static_cast<std::size_t>(status.st_size),
                (status.st_mode & S_IXUSR) != 0, ""});
  }

  Status visit_link(const Source& source, int folder_fd, const char* name,
                    const std::string& relative) {
    const auto shown = below(source.shown, relative);
    char target[PATH_MAX];
    const auto length = ::readlinkat(folder_fd, name, target, sizeof target);
    if (length < 0) return changed_or_errno(shown, errno);
    std::string text(target, static_cast<std::size_t>(length));
    const auto path = below(source.archive, relative);
    const auto resolved = resolve_link(path, text);
    const bool stays = resolved && std::ranges::any_of(sources_, [&](const Source& each) {
                         return is_within(*resolved, each.archive);
                       });
    if (!stays) {
      return fail(
          ErrorKind::kInvalid,
          fmt::format("{} is a link to {}, outside of the content: replace it by what it points "
                      "to, or name that in a workspace's include",
                      shown, text));
    }
    return add({&source, relative, 0, false, std::move(text)});
  }

  // Something listed a moment ago is gone or is another kind of thing now: somebody is working
  // here.
  static std::unexpected<Error> changed_or_errno(const std::string& shown, int error) {
    if (error == ENOENT || error == ENOTDIR || error == ELOOP) {
      return fail(ErrorKind::kUnavailable, fmt::format("{} changed while it was read",
                                                       shown.empty() ? "the folder" : shown));
    }
    return fail_errno(fmt::format("reading {}", shown.empty() ? "the folder" : shown), error);
  }

  const std::vector<Source>& sources_;
  std::map<std::string, Found> found_;
  std::size_t stored_ = 4 * tar::kBlock;  // the workspace's folder and the end
  std::size_t largest_ = 0;
  std::string largest_name_;
};

Status open_source(Source& source) {
  source.fd = Descriptor(::open(source.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!source.fd.is_open()) {
    return fail_errno(
        source.shown.empty() ? source.path.string() : fmt::format("include {}", source.shown),
        errno);
  }
  std::string text;
  const auto read = append_file(source.fd.get(), kIgnoreFile.data(), true, 1024 * 1024,
                                below(source.shown, kIgnoreFile), text);
  if (read) source.ignored = IgnorePatterns(text);
  const bool absent = !read && read.error().kind == ErrorKind::kNotFound;
  struct stat status{};
  if (read || absent || (::fstat(source.fd.get(), &status) == 0 && S_ISREG(status.st_mode))) {
    return {};
  }
  return read;
}

// The workspace first, then what it includes, with their places in the archive.
Result<std::vector<Source>> find_sources(const fs::path& folder,
                                         std::span<const std::string> include) {
  std::error_code error;
  const auto real = fs::canonical(folder, error);
  if (error) return fail_errno(folder.string(), error.value());
  std::vector<Source> sources(1);
  sources[0].path = real;
  sources[0].is_workspace = true;
  auto root = real;
  for (const auto& path : include) {
    Source source;
    source.path = (real / path).lexically_normal();
    if (source.path.filename().empty()) source.path = source.path.parent_path();
    source.shown = path;
    if (is_within(real.string(), source.path.string())) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("include {} contains the workspace's folder itself", path));
    }
    while (!is_within(source.path.string(), root.string())) root = root.parent_path();
    sources.push_back(std::move(source));
  }
  for (auto& source : sources) {
    source.archive = source.path == root ? "" : source.path.lexically_relative(root).string();
    if (const auto opened = open_source(source); !opened) {
      // A missing folder is the caller's news; a missing include is a mistake in config.json.
      if (!source.is_workspace && opened.error().kind == ErrorKind::kNotFound) {
        return fail(ErrorKind::kInvalid, opened.error().message);
      }
      return std::unexpected(opened.error());
    }
  }
  return sources;
}

Status append_entry(const std::string& path, const Found& found, Bundle& bundle) {
  const auto& source = *found.source;
  const auto shown = below(source.shown, found.relative);
  tar::Header header{.path = path, .size = found.size, .executable = found.executable};
  if (!found.link_target.empty()) {
    header.type = tar::Type::kLink;
    header.link_target = found.link_target;
  }
  if (const auto done = tar::append_header(bundle.bytes, header); !done) return done;
  BundleEntry entry{path, bundle.bytes.size(), found.size, found.link_target, found.executable};
  if (header.type == tar::Type::kFile) {
    const auto read = found.relative.empty()
                          ? append_file(AT_FDCWD, source.path.c_str(), true, kMostBundleBytes,
                                        shown, bundle.bytes)
                          : append_file(source.fd.get(), found.relative.c_str(), false,
                                        kMostBundleBytes, shown, bundle.bytes);
    if (!read) {
      const auto kind = read.error().kind;
      if (kind != ErrorKind::kNotFound && kind != ErrorKind::kInvalid) return read;
      return fail(ErrorKind::kUnavailable, fmt::format("{} changed while it was read", shown));
    }
    if (bundle.bytes.size() != entry.offset + entry.size) {
      return fail(ErrorKind::kUnavailable, fmt::format("{} changed while it was read", shown));
    }
    tar::append_padding(bundle.bytes);
  }
  bundle.entries.push_back(std::move(entry));
  return {};
}

}  // namespace

bool Bundle::has_tofu_files() const {
  return std::ranges::any_of(entries, [&](const BundleEntry& entry) {
    std::string_view path = entry.path;
    if (!is_within(path, folder)) return false;
    if (!folder.empty()) path.remove_prefix(folder.size() + 1);
    return path.find('/') == std::string_view::npos &&
           (path.ends_with(".tf") || path.ends_with(".tf.json") || path.ends_with(".tofu") ||
            path.ends_with(".tofu.json"));
  });
}

Result<Bundle> build_bundle(const fs::path& folder, std::span<const std::string> include) {
  const auto sources = find_sources(folder, include);
  if (!sources) return std::unexpected(sources.error());
  Collector collector(*sources);
  for (const auto& source : *sources) {
    if (const auto done = collector.collect(source); !done) return std::unexpected(done.error());
  }
  Bundle bundle;
  bundle.folder = sources->front().archive;
  bundle.bytes.reserve(collector.stored());
  bundle.entries.reserve(collector.found().size());
  const tar::Header own{.path = bundle.folder.empty() ? "./" : bundle.folder + "/",
                        .type = tar::Type::kFolder};
  if (const auto done = tar::append_header(bundle.bytes, own); !done) {
    return std::unexpected(done.error());
  }
  for (const auto& [path, found] : collector.found()) {
    if (const auto done = append_entry(path, found, bundle); !done) {
      return std::unexpected(done.error());
    }
  }
  tar::append_end(bundle.bytes);
  bundle.hash = BundleHash(sha256_hex(bundle.bytes));
  return bundle;
}

Bundle empty_bundle() {
  Bundle bundle;
  // The format holds this path.
  static_cast<void>(tar::append_header(bundle.bytes, {.path = "./", .type = tar::Type::kFolder}));
  tar::append_end(bundle.bytes);
  bundle.hash = BundleHash(sha256_hex(bundle.bytes));
  return bundle;
}

Result<std::optional<std::string>> find_module(const Bundle& bundle, const ModuleSource& module) {
  if (!module.source.starts_with("./") && !module.source.starts_with("../")) return std::nullopt;
  const auto slash = module.file.rfind('/');
  const auto folder = slash == std::string::npos ? "" : module.file.substr(0, slash);
  auto target = (fs::path(folder) / module.source).lexically_normal().string();
  while (target.ends_with('/')) target.pop_back();
  if (target == ".") target.clear();
  if (target != ".." && !target.starts_with("../") &&
      std::ranges::any_of(bundle.entries, [&](const BundleEntry& entry) {
        return is_within(entry.path, target);
      })) {
    return target;
  }
  std::string_view shown = module.file;
  if (!bundle.folder.empty() && is_within(shown, bundle.folder)) {
    shown.remove_prefix(bundle.folder.size() + 1);
  }
  return fail(ErrorKind::kInvalid,
              fmt::format("{}:{}: the module source {} is not part of the content: put it into the "
                          "folder, or name it in a workspace's include",
                          shown, module.line, module.source));
}

}  // namespace provisioner
