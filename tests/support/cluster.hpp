// A whole production cluster on this machine: three real daemons with their parents, a real etcd of
// three members, a real PostgreSQL; between each daemon and its servers a network that can be cut.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "http/message.hpp"
#include "tests/support/etcd.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/program.hpp"
#include "tests/support/relay.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::testing {

using Json = nlohmann::json;

// Daemons are numbers from 0; the instance of number 0 is called "a", and so on. Nothing is started
// by the constructor but etcd and PostgreSQL. The destructor kills everything that is left.
class Cluster {
 public:
  static constexpr int kSize = 3;

  // What etcd and PostgreSQL write survives the end of their processes; with kSynced it would
  // survive that of the machine, and each commit waits for the disk.
  enum class Disk { kQuick, kSynced };

  // `environment`: of all daemons, in addition.
  explicit Cluster(Environment environment = {}, Disk disk = Disk::kQuick);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Before they are launched: each daemon listens on a port of 127.0.0.1 of its own, without TLS.
  void listen();
  std::uint16_t port(int daemon) const { return node(daemon).port; }

  // Into the folder that all daemons read.
  void add_workspace(const std::string& name, const Json& config, std::string_view tf = "");

  void launch(int daemon);  // `serve`, with a parent that watches over it
  void start(int daemon);   // and waits until it is ready; throws with its log when it is not
  void start_all();
  int stop(int daemon);               // SIGTERM; the exit code
  void kill_daemon(int daemon);       // SIGKILL; its parent starts it again
  void kill_with_parent(int daemon);  // SIGKILL, both
  void pause(int daemon);             // SIGSTOP of the daemon and its parent
  void resume(int daemon);
  void cut_etcd(int daemon);
  void cut_postgres(int daemon);
  void heal(int daemon);
  // All as it should be again, whatever a test did: started, resumed, healed.
  void mend();

  pid_t pid(int daemon) const;  // of the daemon itself; -1 = it does not live
  bool launched(int daemon) const { return node(daemon).parent != nullptr; }
  Background& parent(int daemon) { return *node(daemon).parent; }
  std::string name(int daemon) const { return std::string(1, static_cast<char>('a' + daemon)); }

  // Other settings for all daemons, which are started anew one after the other.
  void reconfigure(const Environment& changes);

  // Over the daemon's unix socket; status 0 when nobody answered in time. Thread-safe.
  http::Response ask(int daemon, http::Request request, std::chrono::milliseconds patience) const;
  http::Response ask(int daemon, std::string method, std::string target, std::string body = "",
                     std::chrono::milliseconds patience = std::chrono::seconds(5)) const;

  std::int64_t term();               // the highest that was ever claimed
  int leader();                      // who claimed it
  std::vector<int> leading() const;  // who says of itself that it leads
  // Waits until exactly one leads, with a term above `term`; -1 = nobody in time.
  int await_leader(std::int64_t above, std::chrono::milliseconds patience);

  EtcdCluster& etcd() { return etcd_; }
  PostgresServer& postgres() { return *primary_; }
  const std::string& database() const { return database_; }

  // Before any daemon is started: a second server, which follows the first asynchronously and is
  // known to the daemons.
  void add_standby();
  // From now on the stand-by hears nothing of what is committed.
  void cut_standby() { to_primary_->cut(); }
  bool standby_has_all();
  // Kills the primary and promotes the stand-by.
  void fail_over();
  // The first column, as an administrator.
  std::vector<std::string> sql(const std::string& text) {
    return primary_->execute(text, database_);
  }

  std::string log(int daemon) const;  // since the beginning
  std::vector<pid_t> processes_of(const std::string& run, std::string_view text) const;
  std::filesystem::path root() const { return directory_.path(); }
  std::filesystem::path state_dir(int daemon) const { return root() / name(daemon) / "state"; }

 private:
  struct Node {
    std::vector<std::unique_ptr<Relay>> to_etcd;
    std::vector<std::unique_ptr<Relay>> to_postgres;
    std::unique_ptr<Background> parent;
    std::uint16_t port = 0;  // 0: the unix socket only
  };

  Node& node(int daemon) { return nodes_[static_cast<std::size_t>(daemon)]; }
  const Node& node(int daemon) const { return nodes_[static_cast<std::size_t>(daemon)]; }
  Environment environment_of(int daemon) const;

  TempDirectory directory_;
  Environment environment_;
  EtcdCluster etcd_;
  PostgresServer postgres_;
  PostgresServer* primary_ = &postgres_;
  std::string database_;
  boost::asio::io_context network_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> network_stays_;
  std::unique_ptr<Relay> to_primary_;  // of the stand-by
  std::unique_ptr<PostgresServer> standby_;
  std::vector<Node> nodes_;
  std::jthread network_thread_;
};

}  // namespace provisioner::testing
