// Probes and reads over TCP: how soon a probe is answered while others keep the API busy, whether
// memory grows with requests, and how many reads a second there are beside nginx, which serves a
// file of the same size. The load is wrk(1)'s.
#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <fstream>
#include <regex>
#include <stdexcept>
#include <thread>

#include "bench/system/shared/figure.hpp"
#include "bench/system/shared/observed.hpp"
#include "http/client.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/etcd.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/run_task.hpp"

namespace provisioner::bench {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using testing::Background;
using testing::eventually;
using testing::Installation;

constexpr int kConnections = 16;
constexpr int kProbes = 400;
constexpr int kRounds = 3;

http::Response get(int port, const std::string& target) {
  boost::asio::io_context loop;
  http::Client client(loop.get_executor(),
                      http::Endpoint::tcp("127.0.0.1", static_cast<std::uint16_t>(port)));
  const auto response = testing::run_task(loop, client.send({.target = target}, 10s));
  return response ? *response : http::Response{.status = 0, .body = response.error().message};
}

std::vector<std::string> wrk(int port, const std::string& target, int seconds) {
  return {"wrk", "-t1", fmt::format("-c{}", kConnections), fmt::format("-d{}s", seconds),
          fmt::format("http://127.0.0.1:{}{}", port, target)};
}

double requests_a_second(int port, const std::string& target) {
  const auto done = testing::run_program(wrk(port, target, 2));
  std::smatch found;
  if (!std::regex_search(done.out, found, std::regex("Requests/sec: +([0-9.]+)")) ||
      done.out.find("Non-2xx") != std::string::npos) {
    throw std::runtime_error("wrk: " + done.out + done.err);
  }
  return std::stod(found[1]);
}

// Serves one file, by one process, as the daemon is one.
class Nginx {
 public:
  explicit Nginx(const std::string& text) {
    testing::write_file(directory_ / "www" / "file", text);
    const std::string root = directory_.path().string();
    testing::write_file(directory_ / "nginx.conf", fmt::format(R"(worker_processes 1;
daemon off;
pid {0}/pid;
error_log {0}/errors;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path {0}/1; proxy_temp_path {0}/2; fastcgi_temp_path {0}/3;
  uwsgi_temp_path {0}/4; scgi_temp_path {0}/5;
  server {{ listen 127.0.0.1:{1}; root {0}/www; }}
}}
)",
                                                               root, port_));
    std::filesystem::permissions(directory_.path(), std::filesystem::perms(0755));
    server_ = std::make_unique<Background>(
        std::vector<std::string>{"nginx", "-c", (directory_ / "nginx.conf").string()},
        testing::Environment{}, directory_ / "log");
    if (!eventually(10s, [&] { return get(port_, "/file").status == 200; })) {
      throw std::runtime_error(
          "nginx does not serve: " + testing::read_file(directory_ / "errors") +
          testing::read_file(directory_ / "log"));
    }
  }
  int port() const { return port_; }

 private:
  testing::TempDirectory directory_;
  int port_ = testing::free_port();
  std::unique_ptr<Background> server_;
};

void measure_probes(Installation& installation, int port) {
  Background load(wrk(port, "/api/v1/workspaces", 30), {}, installation.root() / "wrk.log");
  for (const std::string target : {"/health", "/ready"}) {
    boost::asio::io_context loop;
    http::Client client(loop.get_executor(),
                        http::Endpoint::tcp("127.0.0.1", static_cast<std::uint16_t>(port)));
    std::vector<double> took;
    for (int i = 0; i < kProbes; ++i) {
      const auto begun = steady_clock::now();
      const auto answer = testing::run_task(loop, client.send({.target = target}, 10s));
      if (!answer || answer->status != 200) throw std::runtime_error("no answer to " + target);
      took.push_back(seconds_since(begun) * 1000);
      std::this_thread::sleep_for(10ms);
    }
    if (!load.running()) {
      throw std::runtime_error("the load ended too early: " +
                               testing::read_file(installation.root() / "wrk.log"));
    }
    print({.name = fmt::format("{} while the API is busy (p99)", target),
           .unit = "ms",
           .ours = percentile(took, 0.99),
           .target = 5,
           .note = fmt::format("{} probes beside {} connections that read lists; p50 {:.2f}, max "
                               "{:.1f} ms; {}",
                               kProbes, kConnections, median(took), percentile(took, 1),
                               load_average())});
  }
}

void measure_growth(Installation& installation, int port) {
  requests_a_second(port, "/ready");
  const double before = memory_of(installation.daemon().pid()).rss;
  double requests = 0;
  for (int i = 0; i < kRounds; ++i) requests += 2 * requests_a_second(port, "/ready");
  print({.name = "memory that requests leave behind",
         .unit = "MB",
         .ours = memory_of(installation.daemon().pid()).rss - before,
         .target = 1,
         .note = fmt::format("after {:.0f} requests", requests)});
}

void measure_rates(int port) {
  const http::Response ready = get(port, "/ready");
  const Nginx nginx(ready.body);
  std::vector<double> ours, peers, lists;
  for (int round = 0; round < kRounds; ++round) {
    ours.push_back(requests_a_second(port, "/ready"));
    peers.push_back(requests_a_second(nginx.port(), "/file"));
    lists.push_back(requests_a_second(port, "/api/v1/workspaces"));
  }
  print({.name = "reads over TCP",
         .unit = "requests/s",
         .ours = median(ours),
         .peer_name = "nginx, a file of the same size",
         .peer = median(peers),
         .target = 0.5,
         .of_ratio = true,
         .at_least = true,
         .note =
             fmt::format("/ready, {} bytes, {} connections, medians of {} rounds in turn; a list "
                         "of workspaces, from the store: {:.0f} requests/s; {}",
                         ready.body.size(), kConnections, kRounds, median(lists), load_average())});
}

void measure() {
  for (const char* program : {"nginx", "wrk"}) {
    if (testing::run_program({"sh", "-c", fmt::format("command -v {}", program)}).code != 0) {
      throw std::runtime_error(fmt::format("{} is missing: install nginx-light and wrk", program));
    }
  }
  const int port = testing::free_port();
  Installation installation;
  installation.environment["PROVISIONER_LISTEN"] = fmt::format("127.0.0.1:{}", port);
  installation.environment["PROVISIONER_API_CALLER_RATE"] = "1000000";
  installation.environment["PROVISIONER_API_TOTAL_RATE"] = "1000000";
  installation.start();
  measure_probes(installation, port);
  measure_growth(installation, port);
  measure_rates(port);
  installation.stop_daemon();
}

}  // namespace
}  // namespace provisioner::bench

int main() { provisioner::bench::measure(); }
