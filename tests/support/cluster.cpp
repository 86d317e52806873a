#include "tests/support/cluster.hpp"

#include <signal.h>

#include <charconv>
#include <stdexcept>

#include "tests/support/ask.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {

using namespace std::chrono_literals;

namespace {

constexpr std::chrono::seconds kPatience(60);

pid_t child_of(pid_t parent) {
  const std::string pid = std::to_string(parent);
  const std::string children = read_file("/proc/" + pid + "/task/" + pid + "/children");
  pid_t child = -1;
  std::from_chars(children.data(), children.data() + children.size(), child);
  return child;
}

}  // namespace

namespace {

EtcdCluster::Options etcd_options(Cluster::Disk disk) {
  EtcdCluster::Options options;
  if (disk == Cluster::Disk::kSynced) options.directory = std::filesystem::temp_directory_path();
  return options;
}

std::vector<std::string> postgres_options(Cluster::Disk disk) {
  if (disk == Cluster::Disk::kQuick) return {};
  return {"fsync=on", "full_page_writes=on"};
}

}  // namespace

Cluster::Cluster(Environment environment, Disk disk)
    : environment_(std::move(environment)),
      etcd_(etcd_options(disk)),
      postgres_(postgres_options(disk)),
      database_(postgres_.take_database()),
      network_stays_(network_.get_executor()) {
  std::filesystem::create_directories(root() / "config" / "workspaces");
  for (int i = 0; i < kSize; ++i) {
    Node node;
    for (const auto& member : etcd_.endpoints()) {
      node.to_etcd.push_back(std::make_unique<Relay>(network_, member.port));
    }
    node.to_postgres.push_back(std::make_unique<Relay>(network_, postgres_.port()));
    nodes_.push_back(std::move(node));
  }
  network_thread_ = std::jthread([this] { network_.run(); });
}

Cluster::~Cluster() {
  for (int i = 0; i < kSize; ++i) {
    if (launched(i)) kill_with_parent(i);
  }
  // Whatever is left belongs to runs, and carries our directory in its environment.
  for (int round = 0; round < 3; ++round) {
    for (const pid_t process : processes_with("PROVISIONER_TEST_ROOT", root().string())) {
      kill(process, SIGKILL);
    }
    for (const pid_t process : processes_with("WORKSPACE_DEPLOYMENT_DIR", root().string())) {
      kill(process, SIGKILL);
    }
  }
  network_stays_.reset();
  network_.stop();
}

void Cluster::listen() {
  for (Node& each : nodes_) each.port = static_cast<std::uint16_t>(free_port());
}

void Cluster::add_workspace(const std::string& name, const Json& config, std::string_view tf) {
  const auto staged = root() / ("staged-" + name);
  write_file(staged / "config.json", config.dump(2));
  write_file(staged / "main.tf", tf);
  std::filesystem::rename(staged, root() / "config" / "workspaces" / name);
}

Environment Cluster::environment_of(int daemon) const {
  std::string members;
  for (const auto& relay : node(daemon).to_etcd) {
    members += (members.empty() ? "" : ",") + ("http://127.0.0.1:" + std::to_string(relay->port()));
  }
  std::string databases;
  for (const auto& relay : node(daemon).to_postgres) {
    databases += (databases.empty() ? "" : ",") + ("127.0.0.1:" + std::to_string(relay->port()));
  }
  const auto home = root() / name(daemon);
  Environment all = {{"PROVISIONER_CONFIG_DIR", root() / "config"},
                     {"PROVISIONER_STATE_DIR", home / "state"},
                     {"PROVISIONER_LOG_DIR", home / "log"},
                     {"PROVISIONER_LISTEN", "off"},
                     {"PROVISIONER_METRICS_LISTEN", "off"},
                     {"PROVISIONER_LOG_FORMAT", "json"},
                     {"PROVISIONER_SUPERVISE", "on"},
                     {"PROVISIONER_CHANGE_SETTLE", "200ms"},
                     {"PROVISIONER_TEST_ROOT", root()},
                     {"INSTANCE_ID", name(daemon)},
                     {"ETCD_ENDPOINTS", members},
                     {"PROVISIONER_ELECTION_TTL", "2s"},
                     {"PROVISIONER_ELECTION_RENEW", "500ms"},
                     {"PROVISIONER_ELECTION_MARGIN", "300ms"},
                     {"DATABASE_HOST", databases},
                     {"DATABASE_NAME", database_},
                     {"DATABASE_USER", PostgresServer::kUser},
                     {"DATABASE_PASSWORD", PostgresServer::kPassword},
                     {"TF_CLI_CONFIG_FILE", ""}};
  if (const auto port = node(daemon).port; port != 0) {
    all["PROVISIONER_LISTEN"] = "127.0.0.1:" + std::to_string(port);
  }
  for (const auto& [key, value] : environment_) all[key] = value;
  return all;
}

void Cluster::launch(int daemon) {
  std::filesystem::create_directories(root() / name(daemon));
  node(daemon).parent =
      std::make_unique<Background>(std::vector<std::string>{built("provisioner"), "serve"},
                                   environment_of(daemon), root() / name(daemon) / "daemon.log");
}

void Cluster::start(int daemon) {
  if (!launched(daemon)) launch(daemon);
  const bool is_ready = eventually(kPatience, [&] {
    return !parent(daemon).running() || ask(daemon, "GET", "/ready").status == 200;
  });
  if (!is_ready || !parent(daemon).running()) {
    throw std::runtime_error("daemon " + name(daemon) + " did not start:\n" + log(daemon));
  }
}

void Cluster::start_all() {
  for (int i = 0; i < kSize; ++i) launch(i);
  for (int i = 0; i < kSize; ++i) start(i);
}

int Cluster::stop(int daemon) {
  parent(daemon).signal(SIGTERM);
  const int code = parent(daemon).wait(kPatience);
  node(daemon).parent.reset();
  return code;
}

void Cluster::kill_daemon(int daemon) {
  const pid_t victim = pid(daemon);
  if (victim > 0) kill(victim, SIGKILL);
}

void Cluster::kill_with_parent(int daemon) {
  const pid_t victim = pid(daemon);
  parent(daemon).signal(SIGKILL);
  parent(daemon).wait();
  if (victim > 0) {
    kill(victim, SIGKILL);
    eventually(kPatience, [&] { return command_of(victim).empty(); });
  }
  node(daemon).parent.reset();
}

void Cluster::pause(int daemon) {
  parent(daemon).signal(SIGSTOP);
  kill(pid(daemon), SIGSTOP);
}

void Cluster::resume(int daemon) {
  parent(daemon).signal(SIGCONT);
  if (const pid_t stopped = pid(daemon); stopped > 0) kill(stopped, SIGCONT);
}

void Cluster::cut_etcd(int daemon) {
  for (const auto& relay : node(daemon).to_etcd) relay->cut();
}

void Cluster::cut_postgres(int daemon) {
  for (const auto& relay : node(daemon).to_postgres) relay->cut();
}

void Cluster::heal(int daemon) {
  for (const auto& relay : node(daemon).to_etcd) relay->heal();
  for (const auto& relay : node(daemon).to_postgres) relay->heal();
}

void Cluster::mend() {
  for (int i = 0; i < kSize; ++i) {
    heal(i);
    if (launched(i)) resume(i);
    if (launched(i) && !parent(i).running()) node(i).parent.reset();
  }
  for (int i = 0; i < kSize; ++i) start(i);
}

void Cluster::reconfigure(const Environment& changes) {
  for (const auto& [key, value] : changes) environment_[key] = value;
  for (int i = 0; i < kSize; ++i) {
    stop(i);
    start(i);
  }
}

void Cluster::add_standby() {
  to_primary_ = std::make_unique<Relay>(network_, postgres_.port());
  standby_ = PostgresServer::standby_of(postgres_, to_primary_->port());
  for (auto& node : nodes_) {
    node.to_postgres.push_back(std::make_unique<Relay>(network_, standby_->port()));
  }
}

bool Cluster::standby_has_all() {
  const auto committed = primary_->execute("SELECT pg_current_wal_lsn()").at(0);
  return standby_->execute("SELECT pg_last_wal_replay_lsn() >= '" + committed + "'").at(0) == "t";
}

void Cluster::fail_over() {
  postgres_.kill_all();
  standby_->execute("SELECT pg_promote()");
  primary_ = standby_.get();
}

pid_t Cluster::pid(int daemon) const {
  return launched(daemon) ? child_of(node(daemon).parent->pid()) : -1;
}

http::Response Cluster::ask(int daemon, std::string method, std::string target, std::string body,
                            std::chrono::milliseconds patience) const {
  return testing::ask(state_dir(daemon), std::move(method), std::move(target), std::move(body),
                      patience);
}

http::Response Cluster::ask(int daemon, http::Request request,
                            std::chrono::milliseconds patience) const {
  return testing::ask(state_dir(daemon), std::move(request), patience);
}

std::int64_t Cluster::term() {
  const auto rows = sql("SELECT coalesce(max(term), 0) FROM leader_election");
  return std::stoll(rows.at(0));
}

int Cluster::leader() {
  const auto rows = sql("SELECT leader_id FROM leader_election ORDER BY term DESC LIMIT 1");
  if (rows.empty() || rows[0].size() != 1) return -1;
  return rows[0][0] - 'a';
}

std::vector<int> Cluster::leading() const {
  std::vector<int> found;
  for (int i = 0; i < kSize; ++i) {
    if (launched(i) && ask(i, "GET", "/leader", "", 500ms).status == 200) found.push_back(i);
  }
  return found;
}

int Cluster::await_leader(std::int64_t above, std::chrono::milliseconds patience) {
  int found = -1;
  eventually(patience, [&] {
    if (term() <= above) return false;
    const auto claimed = leader();
    if (leading() != std::vector{claimed}) return false;
    found = claimed;
    return true;
  });
  return found;
}

std::string Cluster::log(int daemon) const {
  return read_file(root() / name(daemon) / "daemon.log");
}

std::vector<pid_t> Cluster::processes_of(const std::string& run, std::string_view text) const {
  std::vector<pid_t> found;
  for (const pid_t process : processes_with("PROVISIONER_ATTEMPT", run + ".")) {
    if (command_of(process).find(text) != std::string::npos) found.push_back(process);
  }
  return found;
}

}  // namespace provisioner::testing
