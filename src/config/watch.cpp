#include "config/watch.hpp"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <map>
#include <unordered_map>

#include "config/bundle_paths.hpp"
#include "config/ignore.hpp"
#include "runtime/first_of.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kMask = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE |
                                IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |
                                IN_ONLYDIR | IN_EXCL_UNLINK;
// How often a missing root is looked for: where the folder above it cannot tell, and where it can.
constexpr Duration kLookForRoot = std::chrono::seconds(1);
constexpr Duration kLookForRootAnyway = std::chrono::minutes(1);

// One inotify watch: a folder of the disk. One folder may belong to several workspaces' content.
struct Watched {
  fs::path path;
  std::set<std::string> owners;     // workspaces whose folder it is part of
  std::set<std::string> includers;  // workspaces that include it
};

}  // namespace

struct FolderWatcher::State {
  State(boost::asio::any_io_executor loop, Clock& the_clock, fs::path directory, int fd)
      : clock(the_clock), root(std::move(directory)), inotify(loop, fd) {}

  // Watches the root and every folder below it; false while the root is not there.
  bool watch_root() {
    for (const auto& [wd, watched] : watches) ::inotify_rm_watch(inotify.native_handle(), wd);
    watches.clear();
    if (!find_root()) return false;
    watches[root_watch].path = root;
    std::error_code error;
    for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
      const auto name = it->path().filename().string();
      if (!name.starts_with('.')) watch_tree(it->path(), name, true);
    }
    for (const auto& [folder, paths] : also) {
      for (const auto& path : paths) watch_included(path, folder);
    }
    return true;
  }

  // While the root is not there, the folder above it tells of its coming.
  bool find_root() {
    const int fd = inotify.native_handle();
    root_watch = ::inotify_add_watch(fd, root.c_str(), kMask);
    if (root_watch < 0) {
      std::error_code absent;
      // A link is there before what it leads to.
      const int above = fs::is_symlink(root, absent)
                            ? -1
                            : ::inotify_add_watch(fd, root.parent_path().c_str(), kMask);
      if (above != above_root) ::inotify_rm_watch(fd, std::exchange(above_root, above));
      root_watch = ::inotify_add_watch(fd, root.c_str(), kMask);  // it may have come in between
    }
    if (root_watch < 0) return false;
    if (above_root >= 0) ::inotify_rm_watch(fd, std::exchange(above_root, -1));
    return true;
  }

  // `path` and all folders below it. The watch comes before the listing, so nothing falls between.
  void watch_tree(const fs::path& path, const std::string& workspace, bool is_owner) {
    const int wd = ::inotify_add_watch(inotify.native_handle(), path.c_str(), kMask);
    if (wd < 0) {
      note_trouble(path, errno);
      return;
    }
    auto& watched = watches[wd];
    watched.path = path;
    (is_owner ? watched.owners : watched.includers).insert(workspace);
    std::error_code error;
    for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
      std::error_code vanished;
      if (!it->is_directory(vanished) || it->is_symlink(vanished)) continue;
      if (is_never_content(it->path().filename().string(), true)) continue;
      watch_tree(it->path(), workspace, is_owner);
    }
  }

  // A file is watched through its folder: editors replace files.
  void watch_included(const fs::path& path, const std::string& workspace) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
      watch_tree(path, workspace, false);
      return;
    }
    const auto folder = path.parent_path();
    const int wd = ::inotify_add_watch(inotify.native_handle(), folder.c_str(), kMask);
    if (wd < 0) {
      note_trouble(folder, errno);
      return;
    }
    watches[wd].path = folder;
    watches[wd].includers.insert(workspace);
  }

  // The folder at `path` was moved away or deleted: what is below is no longer what we think.
  void forget_tree(const fs::path& path) {
    std::erase_if(watches, [&](const auto& entry) {
      if (entry.first == root_watch || !is_within(entry.second.path.string(), path.string())) {
        return false;
      }
      ::inotify_rm_watch(inotify.native_handle(), entry.first);
      return true;
    });
  }

  void forget_includer(const std::string& workspace) {
    for (auto& [wd, watched] : watches) watched.includers.erase(workspace);
    std::erase_if(watches, [&](const auto& entry) {
      const auto& [wd, watched] = entry;
      if (wd == root_watch || !watched.owners.empty() || !watched.includers.empty()) return false;
      ::inotify_rm_watch(inotify.native_handle(), wd);
      return true;
    });
  }

  void note_trouble(const fs::path& path, int error) {
    if (error == ENOSPC) {
      trouble =
          "too few inotify watches: changes in some folders are noticed by the periodic scan only; "
          "raise fs.inotify.max_user_watches (sysctl)";
    } else if (error != ENOENT && error != ENOTDIR) {
      trouble = fmt::format(
          "{} cannot be watched ({}): changes there are noticed by the periodic scan "
          "only",
          path.string(), std::strerror(error));
    }
  }

  void touch(const std::set<std::string>& workspaces) {
    pending.folders.insert(workspaces.begin(), workspaces.end());
  }

  // In the workspaces directory itself.
  void note_root_event(const inotify_event& event, const std::string& name) {
    if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) {
      pending.everything = true;
      root_watch = -1;
      return;
    }
    if (name.empty() || name.starts_with('.')) return;
    pending.folders.insert(name);
    if ((event.mask & (IN_MOVED_FROM | IN_DELETE)) != 0) forget_tree(root / name);
    // Not only of folders: a link to a folder is a workspace as well.
    if ((event.mask & (IN_CREATE | IN_MOVED_TO)) != 0) watch_tree(root / name, name, true);
  }

  // In a folder of some workspace's content.
  void note_event(const inotify_event& event, const std::string& name) {
    const auto found = watches.find(event.wd);
    if (found == watches.end()) return;
    const auto watched = found->second;
    if ((event.mask & (IN_IGNORED | IN_UNMOUNT)) != 0) {
      watches.erase(found);
      return;
    }
    const bool is_folder = (event.mask & IN_ISDIR) != 0;
    if (!name.empty() && is_never_content(name, is_folder)) return;
    touch(watched.owners);
    touch(watched.includers);
    if (!is_folder || name.empty()) return;
    if ((event.mask & IN_MOVED_FROM) != 0) forget_tree(watched.path / name);
    if ((event.mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
      for (const auto& owner : watched.owners) watch_tree(watched.path / name, owner, true);
      for (const auto& folder : watched.includers) watch_tree(watched.path / name, folder, false);
    }
  }

  // Takes what the kernel has, without waiting.
  void read_events() {
    alignas(inotify_event) char buffer[64 * 1024];
    while (true) {
      const auto size = ::read(inotify.native_handle(), buffer, sizeof buffer);
      if (size <= 0) return;  // EAGAIN: nothing left
      for (const char* at = buffer; at < buffer + size;) {
        inotify_event event;
        std::memcpy(&event, at, sizeof event);
        const std::string name(event.len > 0 ? at + sizeof event : "");
        at += sizeof event + event.len;
        if ((event.mask & IN_Q_OVERFLOW) != 0) {
          pending.everything = true;
          root_watch = -1;  // folders may have come and gone unseen: watch anew
        } else if (event.wd == root_watch) {
          note_root_event(event, name);
        } else {
          note_event(event, name);
        }
      }
    }
  }

  Task<> wait_readable() {
    boost::system::error_code cancelled;
    co_await inotify.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
  }

  Clock& clock;
  fs::path root;
  boost::asio::posix::stream_descriptor inotify;
  int root_watch = -1;
  int above_root = -1;  // the watch of the folder above, while the root is not there
  std::unordered_map<int, Watched> watches;
  std::map<std::string, std::vector<fs::path>> also;
  FolderChanges pending;
  std::string trouble;
};

FolderWatcher::FolderWatcher(std::unique_ptr<State> state) : state_(std::move(state)) {}
FolderWatcher::~FolderWatcher() = default;

Result<std::unique_ptr<FolderWatcher>> FolderWatcher::open(boost::asio::any_io_executor loop,
                                                           Clock& clock, fs::path workspaces_dir) {
  const int fd = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd < 0) {
    const int error = errno;
    if (error == EMFILE) {
      return fail(ErrorKind::kIo,
                  "too many inotify instances: raise fs.inotify.max_user_instances (sysctl)");
    }
    return fail(ErrorKind::kIo, fmt::format("inotify: {}", std::strerror(error)));
  }
  auto state = std::make_unique<State>(std::move(loop), clock, std::move(workspaces_dir), fd);
  state->watch_root();
  return std::unique_ptr<FolderWatcher>(new FolderWatcher(std::move(state)));
}

Task<FolderChanges> FolderWatcher::next() {
  auto& state = *state_;
  while (true) {
    state.read_events();
    const bool was_lost = state.root_watch < 0;
    if (was_lost && state.watch_root()) state.pending.everything = true;
    if (state.pending.everything || !state.pending.folders.empty()) {
      co_return std::exchange(state.pending, {});
    }
    if (state.root_watch < 0) {
      co_await first_of(
          state.wait_readable(),
          state.clock.sleep_for(state.above_root < 0 ? kLookForRoot : kLookForRootAnyway));
    } else {
      co_await state.wait_readable();
    }
    const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
    if (cancellation.cancelled() != boost::asio::cancellation_type::none) co_return FolderChanges{};
  }
}

void FolderWatcher::watch_also(const std::string& folder, const std::vector<fs::path>& paths) {
  auto& state = *state_;
  const auto known = state.also.find(folder);
  if (paths.empty() && known == state.also.end()) return;
  if (known != state.also.end()) {
    if (known->second == paths) return;
    state.forget_includer(folder);
  }
  if (paths.empty()) {
    state.also.erase(folder);
    return;
  }
  state.also[folder] = paths;
  for (const auto& path : paths) state.watch_included(path, folder);
}

const std::string& FolderWatcher::trouble() const { return state_->trouble; }

}  // namespace provisioner
