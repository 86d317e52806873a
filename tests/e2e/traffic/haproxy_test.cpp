// Three real daemons behind a real HAProxy with the configuration that is shipped, and clients that
// never stop asking: what is lost when an instance stops, dies, or loses its database.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <mutex>
#include <set>
#include <thread>

#include "http/client.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/cluster.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/run_task.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr int kClients = 8;
constexpr auto kBetweenRequests = 1ms;  // of each client
constexpr auto kMostTime = 90s;         // of a load

struct Tally {
  int asked = 0, refused = 0;  // refused: 503 with Retry-After, by whom it may concern
  std::vector<std::string> lost;
  std::set<std::string> made;  // tokens that were acknowledged
  std::vector<double> took;    // ms

  double percentile(double p) {
    if (took.empty()) return 0;
    std::ranges::sort(took);
    return took[static_cast<std::size_t>(p * static_cast<double>(took.size() - 1))];
  }
};

// Clients that read a list and make something, in turn: each over one connection, with TLS.
class Traffic {
 public:
  Traffic(const http::Endpoint& to, const std::shared_ptr<const http::TlsContext>& tls,
          const std::string& token, const std::string& tag) {
    for (int i = 0; i < kClients; ++i) {
      clients_.emplace_back([this, to, tls, token, tag, i] { ask(to, tls, token, tag, i); });
    }
  }

  Tally end() {
    stopping_ = true;
    for (auto& client : clients_) client.join();
    return tally_;
  }

 private:
  void ask(const http::Endpoint& to, const std::shared_ptr<const http::TlsContext>& tls,
           const std::string& token, const std::string& tag, int who) {
    boost::asio::io_context loop;
    http::Client client(loop.get_executor(), to, tls);
    const auto end = steady_clock::now() + kMostTime;
    for (int number = 0; !stopping_ && steady_clock::now() < end; ++number) {
      http::Request request{.method = "GET", .target = "/api/v1/workspaces"};
      request.headers["Authorization"] = "Bearer " + token;
      const std::string name = fmt::format("{}-{}-{}", tag, who, number);
      const bool makes = number % 2 == 1;
      if (makes) {
        request.method = "POST";
        request.target = "/api/v1/tokens/" + name;
        request.body = R"({"role": "viewer"})";
        request.headers["Content-Type"] = "application/json";
      }
      const auto begun = steady_clock::now();
      const auto response = run_task(loop, client.send(request, 30s));
      const double took =
          std::chrono::duration<double, std::milli>(steady_clock::now() - begun).count();
      const std::scoped_lock together(mutex_);
      ++tally_.asked;
      tally_.took.push_back(took);
      if (response && response->status == (makes ? 201 : 200)) {
        if (makes) tally_.made.insert(name);
      } else if (response && response->status == 503 && response->headers.contains("Retry-After")) {
        ++tally_.refused;
      } else {
        tally_.lost.push_back(
            fmt::format("{} {}: {}", request.method, request.target,
                        response ? fmt::format("{} {}", response->status, response->body)
                                 : response.error().message));
      }
      std::this_thread::sleep_for(kBetweenRequests);
    }
  }

  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  Tally tally_;
  std::vector<std::jthread> clients_;
};

class BehindHaproxy : public ::testing::Test {
 protected:
  BehindHaproxy() {
    cluster_.listen();
    cluster_.start_all();
    const auto issued = authority_.issue("balancer");
    write_file(directory_ / "balancer.pem", read_file(issued.cert) + read_file(issued.key));
    Environment environment = {{"PROVISIONER_HTTP", fmt::format("127.0.0.1:{}", plain_port_)},
                               {"PROVISIONER_HTTPS", fmt::format("127.0.0.1:{}", port_)},
                               {"PROVISIONER_CERTIFICATE", (directory_ / "balancer.pem").string()}};
    for (int i = 0; i < Cluster::kSize; ++i) {
      environment[fmt::format("PROVISIONER_{}", i + 1)] =
          fmt::format("127.0.0.1:{}", cluster_.port(i));
    }
    haproxy_ = std::make_unique<Background>(
        std::vector<std::string>{"/usr/sbin/haproxy", "-db", "-f",
                                 PROVISIONER_SOURCE_DIR "/deploy/haproxy/haproxy.cfg"},
        environment, directory_ / "haproxy.log");
    tls_ = http::TlsContext::make(http::TlsRole::kClient, {.ca = authority_.ca()}).value();
    const auto made = cluster_.ask(0, "POST", "/api/v1/tokens/load", R"({"role": "admin"})");
    token_ = Json::parse(made.body).at("token");
    EXPECT_TRUE(eventually(60s, [&] { return get("/health").status == 200; }))
        << read_file(directory_ / "haproxy.log");
  }

  http::Response get(const std::string& target) {
    boost::asio::io_context loop;
    http::Client client(loop.get_executor(), balanced(), tls_);
    http::Request request{.method = "GET", .target = target};
    request.headers["Authorization"] = "Bearer " + token_;
    const auto response = run_task(loop, client.send(request, 30s));
    return response ? *response : http::Response{.status = 0, .body = response.error().message};
  }
  http::Endpoint balanced() const {
    return {.host = "127.0.0.1", .port = static_cast<std::uint16_t>(port_), .tls = true};
  }

  // What happens while clients ask all the time.
  Tally under_load(const std::string& what, const std::function<void()>& happens) {
    Traffic traffic(balanced(), tls_, token_, fmt::format("t{}", ++loads_));
    std::this_thread::sleep_for(1s);
    happens();
    std::this_thread::sleep_for(3s);
    Tally tally = traffic.end();
    fmt::print(
        "  {}: {} requests, {} lost, {} answered 503; p50 {:.1f}, p99 {:.1f}, max {:.0f} ms\n",
        what, tally.asked, tally.lost.size(), tally.refused, tally.percentile(0.5),
        tally.percentile(0.99), tally.percentile(1));
    for (const std::string& lost : tally.lost) fmt::print("    lost: {}\n", lost);
    std::fflush(stdout);
    EXPECT_GT(tally.asked, 200);
    expect_all_kept(tally);
    return tally;
  }
  // What was acknowledged is there.
  void expect_all_kept(const Tally& tally) {
    const Json list = Json::parse(get("/api/v1/tokens").body);
    std::set<std::string> there;
    for (const Json& token : list["items"]) there.insert(token["name"].get<std::string>());
    EXPECT_TRUE(std::ranges::includes(there, tally.made));
    EXPECT_GT(tally.made.size(), 10u);
  }
  void restart(int daemon) {
    EXPECT_EQ(cluster_.stop(daemon), 0) << cluster_.log(daemon);
    cluster_.start(daemon);
    // Balanced again.
    std::this_thread::sleep_for(1500ms);
  }

  TempDirectory directory_;
  Authority authority_{directory_ / "authority"};
  int port_ = free_port(), plain_port_ = free_port();
  Cluster cluster_{{{"PROVISIONER_SHUTDOWN_PAUSE", "3s"},
                    {"PROVISIONER_API_CALLER_RATE", "100000"},
                    {"PROVISIONER_API_TOTAL_RATE", "100000"}}};
  std::unique_ptr<Background> haproxy_;
  std::shared_ptr<const http::TlsContext> tls_;
  std::string token_;
  int loads_ = 0;
};

TEST_F(BehindHaproxy, NothingIsLostInGoodOrderAndLittleWhenAnInstanceDies) {
  const Tally stopped = under_load("one instance is stopped", [&] { cluster_.stop(1); });
  EXPECT_TRUE(stopped.lost.empty());
  EXPECT_EQ(stopped.refused, 0);
  cluster_.start(1);

  const Tally leader = under_load("the leader is stopped", [&] { restart(cluster_.leader()); });
  EXPECT_TRUE(leader.lost.empty());
  EXPECT_EQ(leader.refused, 0);

  const Tally rolling = under_load("all are restarted, one after the other", [&] {
    for (int i = 0; i < Cluster::kSize; ++i) restart(i);
  });
  EXPECT_TRUE(rolling.lost.empty());
  EXPECT_EQ(rolling.refused, 0);

  const Tally killed =
      under_load("one instance is killed (SIGKILL)", [&] { cluster_.kill_with_parent(2); });
  EXPECT_LE(killed.lost.size(), static_cast<std::size_t>(kClients)) << "those in flight on it";
  cluster_.start(2);

  const Tally database = under_load("PostgreSQL is restarted", [&] {
    cluster_.postgres().stop();
    cluster_.postgres().start();
    ASSERT_TRUE(eventually(60s, [&] { return get("/ready").status == 200; }));
  });
  EXPECT_TRUE(database.lost.empty()) << "who cannot be served hears when to come back";
}

TEST_F(BehindHaproxy, PlainRequestsAreSentToTlsAndEventsStreamAtOnce) {
  boost::asio::io_context loop;
  http::Client plain(loop.get_executor(),
                     http::Endpoint::tcp("127.0.0.1", static_cast<std::uint16_t>(plain_port_)));
  const auto redirected = run_task(loop, plain.send({.target = "/api/v1/workspaces"}, 30s));
  ASSERT_TRUE(redirected);
  EXPECT_EQ(redirected->status, 308);
  EXPECT_TRUE(redirected->headers.at("Location").starts_with("https://"));

  http::Client events(loop.get_executor(), balanced(), tls_);
  http::Request request{.target = "/api/v1/events"};
  request.headers["Authorization"] = "Bearer " + token_;
  request.headers["Accept"] = "text/event-stream";
  std::string heard;
  const auto streamed = run_task(loop, events.stream(request, 30s, [&](std::string_view piece) {
    heard += piece;
    if (heard.find("event: workspace") != std::string::npos) return false;
    if (heard.find("event: hello") != std::string::npos) {
      cluster_.add_workspace("fresh", Json::object(), Installation::kOneResource);
    }
    return true;
  }));
  EXPECT_THAT(heard, ::testing::HasSubstr("\"fresh\""));
}

}  // namespace
}  // namespace provisioner::testing
