// Real etcd servers in temporary directories on free ports.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/client.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::testing {

// The least time to live that these servers grant is 1 s.
class EtcdCluster {
 public:
  struct Options {
    int members = 3;
    bool tls = false;      // and only with a certificate of `authority`
    bool json_api = true;  // false: --enable-grpc-gateway=false
    // etcd syncs each of its writes, and a lease ends while a busy disk takes its time.
    std::filesystem::path directory = quick_directory();
  };

  // Started, and answering. Throws with a log when it does not.
  EtcdCluster() : EtcdCluster(Options{}) {}
  explicit EtcdCluster(Options options);
  ~EtcdCluster();

  std::vector<http::Endpoint> endpoints() const;
  std::string urls() const;                                 // "http://127.0.0.1:2379,..."
  const http::TlsSettings& client() const { return tls_; }  // empty without tls
  int size() const { return static_cast<int>(members_.size()); }

  void kill(int member);    // SIGKILL
  void start(int member);   // of a killed one, with its data
  void freeze(int member);  // SIGSTOP: it takes connections and answers nothing
  void thaw(int member);
  int leader() const;  // the member that leads etcd itself; throws when none does

  // Its output; throws when it fails.
  std::string etcdctl(std::vector<std::string> arguments) const;
  // From now on only with this user's password (and root's, which is "root").
  void demand_login(const std::string& user, const std::string& password);

  std::filesystem::path take_snapshot() const;
  // Ends all members and starts them anew with what was in the snapshot, as after a disaster.
  void restore(const std::filesystem::path& snapshot);

 private:
  struct Member {
    std::string name;
    int client_port = 0, peer_port = 0;
    std::filesystem::path data;
    std::unique_ptr<Background> process;
  };

  void choose_ports();
  std::string url(int port) const;
  std::string initial_cluster() const;
  bool answers(const Member& member) const;
  void await_answers();

  Options options_;
  TempDirectory directory_;
  std::optional<Authority> authority_;
  http::TlsSettings tls_;
  std::vector<Member> members_;
  std::string login_;  // "user:password" of root, once demanded
  int generation_ = 0;
};

// A TCP port of 127.0.0.1 that nobody listens on, outside the range from which the system takes
// ports for outgoing connections.
int free_port();

}  // namespace provisioner::testing
