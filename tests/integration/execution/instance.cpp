#include "tests/integration/execution/instance.hpp"

#include <signal.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <stdexcept>

#include "config/bundle.hpp"
#include "config/workspace_file.hpp"
#include "execution/process_proof.hpp"
#include "store/sqlite/sqlite_store.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/program.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// ctest shows it with a failing test only.
class TestLog final : public LogSink {
 public:
  void write(const LogEvent& event) override {
    std::fputs((render_text(event, false) + "\n").c_str(), stderr);
  }
};

}  // namespace

LiveDaemon::LiveDaemon(const Settings& settings, const Environment& environment,
                       std::shared_ptr<LogSink> sink) {
  const Logger log(std::move(sink), clock_, "execution");
  auto opened = open_sqlite_store(loop_.get_executor(), settings.state_dir / "provisioner.db");
  if (!opened) throw std::runtime_error(opened.error().message);
  store_ = std::move(*opened);
  const auto seen = get(store_->leadership());
  fence_ =
      get(store_->claim_term(seen.fence, random_.claim_id(), settings.instance_id, clock_.now()))
          .fence;
  workspace_log_ = std::make_unique<execution::WorkspaceLog>(settings.log_dir, log);
  assignments_ = std::make_unique<execution::AssignmentSource>(settings, environment, offload_);
  runner_api_ = std::make_unique<execution::RunnerApi>(execution::RunnerApi::Parts{
      *store_, clock_, *workspace_log_, log,
      [this](Run run, std::string directory) {
        return assignments_->assign(std::move(run), std::move(directory));
      },
      settings.runs.lease});
  const auto socket = settings.state_dir / "provisioner.sock";
  launcher_ = std::make_unique<execution::SystemLauncher>(
      loop_.get_executor(), offload_,
      execution::SystemLauncherSettings{
          .state_dir = settings.state_dir, .socket = socket, .programs = PROVISIONER_BIN_DIR});
  dispatcher_ = std::make_unique<execution::Dispatcher>(
      execution::Dispatcher::Parts{loop_.get_executor(), *store_, clock_, random_, *launcher_,
                                   *workspace_log_, *runner_api_, log,
                                   [this] { return std::optional(fence_); }},
      execution::DispatcherSettings{.instance = settings.instance_id,
                                    .incarnation = random_.incarnation(),
                                    .state_dir = settings.state_dir,
                                    .capacity = settings.execution.capacity,
                                    .lease = settings.runs.lease,
                                    .stop_allowance = settings.runs.stop_allowance,
                                    .on_interrupt = settings.runs.on_interrupt});
  server_ = std::make_unique<http::Server>(loop_.get_executor(), [this](http::Request request) {
    return runner_api_->handle(std::move(request));
  });
  if (auto bound = server_->listen_unix(socket, 0600); !bound) {
    throw std::runtime_error(bound.error().message);
  }
  boost::asio::co_spawn(loop_, dispatcher_->run(),
                        boost::asio::bind_cancellation_slot(
                            death_.slot(), [this](const std::exception_ptr&) { ended_ = true; }));
}

// Coroutines hold references to the members: they have to be gone before those.
LiveDaemon::~LiveDaemon() {
  // On the loop: a cancellation from outside of it is only posted, and may come too late.
  boost::asio::post(loop_, [this] {
    death_.emit(boost::asio::cancellation_type::terminal);
    server_.reset();
  });
  work_until([this] { return ended_; }, 60s);
  loop_.restart();
  loop_.run_for(50ms);
}

bool LiveDaemon::work_until(const std::function<bool()>& condition,
                            std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    loop_.restart();
    loop_.run_for(10ms);
  }
  return true;
}

Instance::Instance() : environment(process_environment()), sink_(std::make_shared<TestLog>()) {
  settings.state_dir = directory_ / "state";
  settings.log_dir = directory_ / "log";
  settings.config_dir = directory_ / "config";
  settings.workspaces_dir = directory_ / "config/workspaces";
  settings.instance_id = InstanceId("host-1");
  settings.execution.capacity = 4;
  settings.runs.lease = 60s;
  settings.runs.heartbeat = 1s;
  settings.runs.stop_allowance = 30s;
  settings.environment.pass = default_pass_patterns();
  for (const auto& directory : {settings.state_dir, settings.log_dir, settings.workspaces_dir}) {
    fs::create_directories(directory);
  }
}

Instance::~Instance() {
  daemon_.reset();
  for (const auto& run : runs_) {
    eventually(60s, [&] {
      const auto living = processes(run);
      for (const pid_t pid : living) kill(pid, SIGKILL);
      return living.empty();
    });
  }
}

void Instance::start() { daemon_ = std::make_unique<LiveDaemon>(settings, environment, sink_); }

void Instance::publish(const std::string& name, const std::string& main_tf,
                       const std::string& config) {
  const auto folder = settings.workspaces_dir / name;
  write_file(folder / "main.tf", main_tf);
  const auto parsed = parse_workspace(WorkspaceName(name), config, name);
  if (!parsed) throw std::runtime_error(parsed.error().message);
  auto bundle = build_bundle(folder, parsed->spec.include);
  if (!bundle) throw std::runtime_error(bundle.error().message);
  Publication publication;
  publication.workspace = WorkspaceName(name);
  publication.definition = {parsed->normalised_json, bundle->hash, parsed->inputs_hash};
  publication.changed_by = "test";
  publication.first_cursor = daemon_->clock().now();
  daemon_->get(daemon_->store().put_bundle(bundle->hash, bundle->bytes));
  daemon_->get(daemon_->store().publish(publication, daemon_->clock().now()));
}

RunId Instance::enqueue(const std::string& name, Operation operation, const std::string& mode) {
  const auto row = workspace(name);
  NewRun request;
  request.created_at = daemon_->clock().now();
  request.id = SystemRandom().run_id(request.created_at);
  request.workspace = WorkspaceName(name);
  request.operation = operation;
  request.mode = operation == Operation::kDestroy ? row.deployed_mode : mode;
  request.definition =
      operation == Operation::kDestroy && row.deployed ? *row.deployed : row.current;
  request.requested_by = "test";
  const Run run = daemon_->get(daemon_->store().enqueue(request, WhenBusy::kRefuse));
  runs_.push_back(run.id);
  return run.id;
}

Run Instance::run(const RunId& id) { return daemon_->get(daemon_->store().run(id)); }

Workspace Instance::workspace(const std::string& name) {
  return daemon_->get(daemon_->store().workspace(WorkspaceName(name)));
}

std::vector<AttemptRow> Instance::attempts(const RunId& id) {
  return daemon_->get(daemon_->store().attempts(id));
}

std::string Instance::log(const RunId& id) {
  std::string text;
  for (const auto& chunk :
       daemon_->get(daemon_->store().log(id, Attempt(0), 0, 64 * 1024 * 1024))) {
    text += chunk.text;
  }
  return text;
}

std::string Instance::state(const std::string& name) {
  const StateSlot slot{WorkspaceName(name), ""};
  const auto current = daemon_->get(daemon_->store().current_state(slot));
  return current ? daemon_->get(daemon_->store().state_body(slot, current->number)) : "";
}

std::size_t Instance::state_versions(const std::string& name) {
  return daemon_->get(daemon_->store().state_versions({WorkspaceName(name), ""})).size();
}

Run Instance::finished(const RunId& id, std::chrono::milliseconds patience) {
  daemon_->work_until([&] { return is_final(run(id).status); }, patience);
  return run(id);
}

bool Instance::logged(const RunId& id, const std::string& text) {
  return daemon_->work_until([&] { return log(id).find(text) != std::string::npos; }, 60s);
}

std::vector<pid_t> Instance::processes(const RunId& id) const {
  return processes_with("PROVISIONER_ATTEMPT", id.value + ".");
}

pid_t Instance::process(const RunId& id, const std::string& command) const {
  for (const pid_t pid : processes(id)) {
    const std::string line = command_of(pid);
    // The trampoline's arguments hold the command that it runs.
    if (line.find(command) != std::string::npos && line.find("exec-child") == std::string::npos) {
      return pid;
    }
  }
  return 0;
}

bool Instance::has_attempt_directories() const {
  return !execution::find_attempt_directories(settings.state_dir).empty();
}

bool Instance::is_clean(const RunId& id) {
  return work_until([&] { return processes(id).empty() && !has_attempt_directories(); }, 60s);
}

std::string Instance::workspace_log(const std::string& name) const {
  return read_file(settings.log_dir / (name + ".log"));
}

}  // namespace provisioner::testing
