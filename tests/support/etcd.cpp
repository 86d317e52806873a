#include "tests/support/etcd.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>

#include "tests/support/eventually.hpp"
#include "tests/support/run_task.hpp"

namespace provisioner::testing {

using namespace std::chrono_literals;

int free_port() {
  static std::mt19937 random(std::random_device{}());
  for (int i = 0; i < 1000; ++i) {
    const int port = std::uniform_int_distribution(20000, 32000)(random);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool is_free =
        ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (is_free) return port;
  }
  throw std::runtime_error("no free port");
}

EtcdCluster::EtcdCluster(Options options)
    : options_(std::move(options)), directory_(options_.directory) {
  if (options_.tls) {
    authority_.emplace(directory_ / "certificates");
    tls_ = authority_->issue("client");
    authority_->issue("server");
  }
  for (int i = 0; i < options_.members; ++i) {
    members_.push_back({.name = "m" + std::to_string(i)});
    members_.back().data = directory_ / members_.back().name;
  }
  // Somebody may take a port between the choice and the start.
  for (int attempt = 0;; ++attempt) {
    choose_ports();
    for (int i = 0; i < size(); ++i) start(i);
    try {
      await_answers();
      return;
    } catch (const std::runtime_error&) {
      if (attempt == 3) throw;
    }
    for (int i = 0; i < size(); ++i) kill(i);
    for (const auto& member : members_) std::filesystem::remove_all(member.data);
  }
}

EtcdCluster::~EtcdCluster() = default;

void EtcdCluster::choose_ports() {
  for (auto& member : members_) {
    member.client_port = free_port();
    member.peer_port = free_port();
  }
}

std::string EtcdCluster::url(int port) const {
  return (options_.tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port);
}

std::vector<http::Endpoint> EtcdCluster::endpoints() const {
  std::vector<http::Endpoint> all;
  for (const auto& member : members_) {
    all.push_back(http::Endpoint::parse(url(member.client_port)).value());
  }
  return all;
}

std::string EtcdCluster::urls() const {
  std::string all;
  for (const auto& member : members_) {
    all += (all.empty() ? "" : ",") + url(member.client_port);
  }
  return all;
}

std::string EtcdCluster::initial_cluster() const {
  std::string all;
  for (const auto& member : members_) {
    all += (all.empty() ? "" : ",") + member.name +
           "=http://127.0.0.1:" + std::to_string(member.peer_port);
  }
  return all;
}

void EtcdCluster::start(int number) {
  Member& member = members_[static_cast<std::size_t>(number)];
  const std::string peer = "http://127.0.0.1:" + std::to_string(member.peer_port);
  std::vector<std::string> command = {"etcd",
                                      "--name",
                                      member.name,
                                      "--data-dir",
                                      member.data,
                                      "--listen-client-urls",
                                      url(member.client_port),
                                      "--advertise-client-urls",
                                      url(member.client_port),
                                      "--listen-peer-urls",
                                      peer,
                                      "--initial-advertise-peer-urls",
                                      peer,
                                      "--initial-cluster",
                                      initial_cluster(),
                                      "--initial-cluster-token",
                                      "test" + std::to_string(generation_),
                                      "--heartbeat-interval",
                                      "60",
                                      "--election-timeout",
                                      "600",
                                      "--logger",
                                      "zap"};
  if (!options_.json_api) command.push_back("--enable-grpc-gateway=false");
  if (options_.tls) {
    const auto files = directory_ / "certificates";
    command.insert(command.end(),
                   {"--cert-file", files / "server.pem", "--key-file", files / "server.key",
                    "--client-cert-auth", "--trusted-ca-file", authority_->ca()});
  }
  // Variables such as ETCD_NAME would be taken for flags.
  const Environment environment = {{"ETCD_ENDPOINTS", ""}, {"ETCD_UNSUPPORTED_ARCH", "arm64"}};
  member.process =
      std::make_unique<Background>(command, environment, directory_ / (member.name + ".log"));
}

void EtcdCluster::kill(int number) {
  auto& process = members_[static_cast<std::size_t>(number)].process;
  if (!process) return;
  process->signal(SIGCONT);
  process->signal(SIGKILL);
  process->wait();
  process.reset();
}

void EtcdCluster::freeze(int number) {
  members_[static_cast<std::size_t>(number)].process->signal(SIGSTOP);
}

void EtcdCluster::thaw(int number) {
  members_[static_cast<std::size_t>(number)].process->signal(SIGCONT);
}

bool EtcdCluster::answers(const Member& member) const {
  boost::asio::io_context loop;
  auto tls = options_.tls ? http::TlsContext::make(http::TlsRole::kClient, tls_).value() : nullptr;
  http::Client client(loop.get_executor(), http::Endpoint::parse(url(member.client_port)).value(),
                      tls);
  const auto response = run_task(loop, client.send({.target = "/health"}, 1s));
  return response && response->body.find("true") != std::string::npos;
}

void EtcdCluster::await_answers() {
  for (const auto& member : members_) {
    const bool up = eventually(40s, [&] { return !member.process->running() || answers(member); });
    if (!up || !member.process->running()) {
      throw std::runtime_error("etcd does not answer:\n" +
                               read_file(directory_ / (member.name + ".log")));
    }
  }
}

std::string EtcdCluster::etcdctl(std::vector<std::string> arguments) const {
  std::vector<std::string> command = {"etcdctl", "--endpoints", urls()};
  if (options_.tls) {
    command.insert(command.end(), {"--cacert", tls_.ca, "--cert", tls_.cert, "--key", tls_.key});
  }
  if (!login_.empty()) command.insert(command.end(), {"--user", login_});
  command.insert(command.end(), arguments.begin(), arguments.end());
  const Finished finished = run_program(command, {{"ETCDCTL_API", "3"}, {"ETCD_ENDPOINTS", ""}});
  if (finished.code != 0) {
    throw std::runtime_error("etcdctl " + arguments[0] + ": " + finished.err);
  }
  return finished.out;
}

int EtcdCluster::leader() const {
  int found = -1;
  eventually(20s, [&] {
    for (int i = 0; i < size() && found < 0; ++i) {
      const auto& member = members_[static_cast<std::size_t>(i)];
      if (!member.process) continue;
      const Finished finished = run_program(
          {"etcdctl", "--endpoints", url(member.client_port), "endpoint", "status", "-w", "json"},
          {{"ETCDCTL_API", "3"}});
      const auto json = nlohmann::json::parse(finished.out, nullptr, false);
      if (!json.is_array() || json.empty()) continue;
      const auto& status = json[0]["Status"];
      if (status["leader"] == status["header"]["member_id"]) found = i;
    }
    return found >= 0;
  });
  if (found < 0) throw std::runtime_error("etcd has no leader");
  return found;
}

void EtcdCluster::demand_login(const std::string& user, const std::string& password) {
  etcdctl({"user", "add", "root:root"});
  etcdctl({"user", "add", user + ":" + password});
  etcdctl({"role", "add", "elector"});
  etcdctl({"role", "grant-permission", "elector", "--prefix=true", "readwrite", "/provisioner/"});
  etcdctl({"user", "grant-role", "root", "root"});
  etcdctl({"user", "grant-role", user, "elector"});
  etcdctl({"auth", "enable"});
  login_ = "root:root";
}

std::filesystem::path EtcdCluster::take_snapshot() const {
  const auto file = directory_ / "snapshot";
  std::filesystem::remove(file);
  const Finished finished = run_program(
      {"etcdctl", "--endpoints", url(members_[0].client_port), "snapshot", "save", file},
      {{"ETCDCTL_API", "3"}});
  if (finished.code != 0) throw std::runtime_error("etcdctl snapshot save: " + finished.err);
  return file;
}

void EtcdCluster::restore(const std::filesystem::path& snapshot) {
  for (int i = 0; i < size(); ++i) kill(i);
  ++generation_;
  for (auto& member : members_) {
    std::filesystem::remove_all(member.data);
    const Finished finished = run_program(
        {"etcdctl", "snapshot", "restore", snapshot, "--name", member.name, "--data-dir",
         member.data, "--initial-cluster", initial_cluster(), "--initial-cluster-token",
         "test" + std::to_string(generation_), "--initial-advertise-peer-urls",
         "http://127.0.0.1:" + std::to_string(member.peer_port)},
        {{"ETCDCTL_API", "3"}});
    if (finished.code != 0) throw std::runtime_error("etcdctl snapshot restore: " + finished.err);
  }
  for (int i = 0; i < size(); ++i) start(i);
  await_answers();
}

}  // namespace provisioner::testing
