// Publishes what the folders of workspaces/ say, or the files of jobs/: read -> parse -> bundle ->
// store.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "config/folder_mark.hpp"
#include "config/folders.hpp"
#include "config/loader.hpp"
#include "config/settling.hpp"
#include "config/watch.hpp"
#include "model/workspace_spec.hpp"
#include "runtime/clock.hpp"
#include "runtime/offload.hpp"
#include "runtime/signal.hpp"
#include "runtime/task.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"

namespace provisioner {

// The entries of one directory that are published. `scan`, `read` and `load` block.
struct FolderSource {
  std::string noun;            // "workspace": in the log, and the field that names one there
  std::string entry_noun;      // "folder"
  std::string if_vanished;     // what a detached one still does, as a sentence's end
  bool may_be_absent = false;  // the whole directory, where nothing was ever published from it
  std::function<Result<FolderScan>()> scan;
  std::function<bool(const WorkspaceName&, const FolderMark&)> holds_the_same;
  std::function<Result<WorkspaceFolder>(const WorkspaceName&)> read;
  std::function<Result<LoadedWorkspace>(WorkspaceFolder, const TemplateContent*)> load;
  std::function<bool(const WorkspaceName&)> owns;  // among what was published
  std::function<std::string(const WorkspaceName&)> shown;
  std::function<std::string(const WorkspaceName&)> entry;  // its name on disk
};
FolderSource workspace_folders(std::filesystem::path workspaces_dir, ContentScan scan);
FolderSource standalone_jobs(std::filesystem::path jobs_dir);

struct FolderPublisherOptions {
  Duration settle;  // a folder is read when it was quiet for so long
  // In whose name folders are reported: the instance, or one name for all that ever used an
  // embedded store.
  InstanceId reporter;
  // Where the cursor of a workspace starts that the store never saw.
  std::function<Instant(const WorkspaceSpec&, Instant now)> first_cursor;
};

// A broken folder keeps its last good configuration and is logged; the others are not affected. A
// vanished one is detached, never removed. Loop only.
class FolderPublisher {
 public:
  FolderPublisher(boost::asio::any_io_executor loop, Clock& clock, Offload& offload, Store& store,
                  Logger log, FolderSource source, FolderPublisherOptions options);

  // Reads every folder once, without settling. kNotFound, kDenied when the directory cannot be
  // read: then nothing is detached.
  Task<Status> publish_all();

  // Watches and publishes until cancelled; looks at everything every ten minutes, in case a change
  // was not noticed. Call publish_all() first.
  Task<> run(std::unique_ptr<FolderWatcher> watcher);

  // What is wrong with which entry at present, as sentences.
  const std::map<std::string, std::string>& problems() const { return problems_; }

 private:
  Task<bool> is_as_reported(WorkspaceName name);
  Task<Status> publish_folder(WorkspaceName name);
  // Nothing when the folder wants no template. kNotFound: there is none of that name.
  Task<Result<std::optional<TemplateContent>>> content_of_template(const WorkspaceFolder& folder);
  void follow_templates();
  Task<> publish_and_tell(WorkspaceName name);  // what came of it goes to the log
  Task<> publish_some(const std::vector<WorkspaceName>& names);
  Task<> take(const std::set<std::string>& folders);
  Task<Status> detach_missing(const std::set<std::string>& present);
  void check_dependencies();
  void report_problem(const std::string& folder, const std::string& message);

  boost::asio::any_io_executor loop_;
  Clock& clock_;
  Offload& offload_;
  Store& store_;
  Logger log_;
  FolderSource source_;
  FolderPublisherOptions options_;
  Settling settling_;
  FolderWatcher* watcher_ = nullptr;
  std::map<std::string, std::string> problems_;
  std::map<std::string, std::vector<std::filesystem::path>> included_;
  std::map<WorkspaceName, std::vector<WorkspaceName>> depends_on_;  // as the folders say it
  std::map<WorkspaceName, std::string> dependency_problems_;
  // What was said last of the folders that are present: reported_content(), and the content of the
  // template that it was said with.
  struct Said {
    std::string content;
    BundleHash template_bundle;
    friend bool operator==(const Said&, const Said&) = default;
  };
  std::map<WorkspaceName, Said> reported_;
  std::map<WorkspaceName, FolderMark> marks_;       // of those reported that no template belongs to
  std::map<std::string, std::string> templates_;    // named by the folders, broken ones too
  std::set<std::string> changed_templates_;         // since they were looked at
  std::map<BundleHash, TemplateContent> contents_;  // of templates, while folders are published
  Signal look_;
  Store::Subscription subscription_;
};

}  // namespace provisioner
