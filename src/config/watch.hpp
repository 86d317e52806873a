// Notices changes below workspaces/ through inotify.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "runtime/clock.hpp"
#include "runtime/task.hpp"

namespace provisioner {

struct FolderChanges {
  std::set<std::string> folders;  // names of the folders touched, vanished and new ones included
  bool everything = false;  // the kernel lost events, or workspaces/ itself was replaced: scan
};

// A hint to look, not a statement about content: the caller compares hashes. Loop only; the
// descriptor is CLOEXEC. The workspaces directory may be missing, vanish and return.
class FolderWatcher {
 public:
  // Watches `workspaces_dir` and all folders below it, except .git and .terraform. Registers the
  // watches before it returns, so a scan made afterwards misses nothing. kIo: inotify cannot be
  // used at all.
  static Result<std::unique_ptr<FolderWatcher>> open(boost::asio::any_io_executor loop,
                                                     Clock& clock,
                                                     std::filesystem::path workspaces_dir);
  ~FolderWatcher();

  // Returns as soon as something changed since the last call; at once if something did meanwhile.
  // Cancellable: then without an exception and empty.
  Task<FolderChanges> next();

  // Paths outside workspaces/ that belong to a folder's content (its `include`): changes there
  // count as changes of the folder. Replaces what was said before of the folder.
  void watch_also(const std::string& folder, const std::vector<std::filesystem::path>& paths);

  // Why some folders are not watched (too few inotify watches), with what to set; "" = all are. The
  // caller's periodic scan then is what notices changes there.
  const std::string& trouble() const;

 private:
  struct State;
  explicit FolderWatcher(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace provisioner
