// One instance without scheduler and API: real store, real server on a unix socket, dispatcher,
// runner API, the built provisioner-runner and the real tofu (or terraform).
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/environment.hpp"
#include "config/settings.hpp"
#include "execution/assignment_source.hpp"
#include "execution/dispatcher.hpp"
#include "execution/runner_api.hpp"
#include "execution/system_launcher.hpp"
#include "execution/workspace_log.hpp"
#include "http/server.hpp"
#include "store/store.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::testing {

// What a daemon is made of. Destroying it cancels it wherever it is, without any order: guards,
// runners and tofu live on.
class LiveDaemon {
 public:
  LiveDaemon(const Settings& settings, const Environment& environment,
             std::shared_ptr<LogSink> sink);
  ~LiveDaemon();

  Store& store() { return *store_; }
  boost::asio::io_context& loop() { return loop_; }
  execution::Dispatcher& dispatcher() { return *dispatcher_; }
  SystemClock& clock() { return clock_; }

  // The result of a store call; the daemon works meanwhile.
  template <typename T>
  T get(Task<Result<T>> task) {
    auto result = run_task(loop_, std::move(task));
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
  }
  void get(Task<Status> task) {
    if (auto status = run_task(loop_, std::move(task)); !status) {
      throw std::runtime_error(status.error().message);
    }
  }

  // Lets the daemon work until `condition` holds; false when `patience` is over.
  bool work_until(const std::function<bool()>& condition,
                  std::chrono::milliseconds patience = std::chrono::seconds(60));

 private:
  boost::asio::io_context loop_{1};
  SystemClock clock_{loop_.get_executor()};
  SystemRandom random_;
  Offload offload_{2};
  std::unique_ptr<Store> store_;
  LeaderFence fence_;
  std::unique_ptr<execution::WorkspaceLog> workspace_log_;
  std::unique_ptr<execution::AssignmentSource> assignments_;
  std::unique_ptr<execution::RunnerApi> runner_api_;
  std::unique_ptr<execution::SystemLauncher> launcher_;
  std::unique_ptr<execution::Dispatcher> dispatcher_;
  std::unique_ptr<http::Server> server_;
  boost::asio::cancellation_signal death_;
  bool ended_ = false;
};

// The directories that daemons of one instance share, and the workspaces in them. Its end kills
// whatever its runs left.
class Instance {
 public:
  Instance();
  ~Instance();

  Settings settings;
  Environment environment;  // of the daemon

  void start();
  void kill_daemon() { daemon_.reset(); }  // a SIGKILL, for those who watch from outside
  LiveDaemon& daemon() { return *daemon_; }

  // Publishes a workspace of one main.tf; `config` is the JSON of its config.json.
  void publish(const std::string& name, const std::string& main_tf,
               const std::string& config = "{}");
  RunId enqueue(const std::string& workspace, Operation operation, const std::string& mode = "");

  Run run(const RunId& id);
  Workspace workspace(const std::string& name);
  std::vector<AttemptRow> attempts(const RunId& id);
  std::string log(const RunId& id);
  std::string state(const std::string& workspace);  // "" = none
  std::size_t state_versions(const std::string& workspace);

  // Lets the daemon work until the run has ended; returns it either way.
  Run finished(const RunId& id, std::chrono::milliseconds patience = std::chrono::seconds(60));
  // Until `text` is in the log of the run.
  bool logged(const RunId& id, const std::string& text);
  bool work_until(const std::function<bool()>& condition,
                  std::chrono::milliseconds patience = std::chrono::seconds(60)) {
    return daemon_->work_until(condition, patience);
  }

  std::vector<pid_t> processes(const RunId& id) const;               // that live, of any attempt
  pid_t process(const RunId& id, const std::string& command) const;  // 0 = none
  // No process lives and no attempt's directory is left, within some seconds.
  bool is_clean(const RunId& id);
  bool has_attempt_directories() const;
  std::string workspace_log(const std::string& name) const;
  const std::filesystem::path& root() const { return directory_.path(); }

 private:
  TempDirectory directory_;
  std::shared_ptr<LogSink> sink_;
  std::unique_ptr<LiveDaemon> daemon_;
  std::vector<RunId> runs_;
};

}  // namespace provisioner::testing
