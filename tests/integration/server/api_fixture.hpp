// The API over real sockets with the real embedded store; each answer is held to docs/openapi.json.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/workspace_file.hpp"
#include "http/client.hpp"
#include "http/event_stream.hpp"
#include "http/server.hpp"
#include "runtime/random.hpp"
#include "schema.hpp"
#include "server/api.hpp"
#include "server/routes.hpp"
#include "store/sqlite/sqlite_store.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::server {

using namespace std::chrono_literals;
using nlohmann::json;

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error("unexpected error: " + result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

class KeptLog final : public LogSink {
 public:
  void write(const LogEvent& event) override { text += render_json(event) + "\n"; }
  std::string text;
};

class ApiTest : public ::testing::Test {
 protected:
  using Run = provisioner::Run;  // not ::testing::Test::Run

  ApiTest() {
    store_ = must(open_sqlite_store(loop_.get_executor(), directory_ / "provisioner.db"));
    templates_.emplace(*store_, clock_, Logger(log_, clock_, "templates"), fetcher_);
    api_.emplace(Api::Parts{
        .store = *store_,
        .clock = clock_,
        .random = random_,
        .log = Logger(log_, clock_, "server"),
        .version = "1.2.3",
        .instance = InstanceId("host-1"),
        .access = {.daemon_uid = ::geteuid(), .operator_gid = {}, .socket_path = socket_},
        .limits = {.caller_per_second = 10'000, .total_per_second = 10'000},
        .read_spec = [](const WorkspaceName& name,
                        std::string_view config) -> Result<WorkspaceSpec> {
          auto parsed = parse_workspace(name, config, "config.json");
          if (!parsed) return std::unexpected(parsed.error());
          return parsed->spec;
        },
        .default_zone = must(Zone::find("UTC")),
        .templates = *templates_,
        .leader = [this] { return leader_; },
        .election = "single",
        .election_problem = [] { return ""; },
        .readiness = [this] { return readiness_; },
        .health = [] { return std::vector<HealthCheck>{{.name = "store"}}; },
        .config_problems = [this] { return problems_; },
        .reload = []() -> Task<Status> { co_return Status(); },
        .masking = [](Workspace) -> Task<std::function<std::string(std::string)>> {
          co_return [](std::string text) { return text; };
        },
        .runner_api = [](http::Request request) -> Task<http::Response> {
          co_return http::text_response(200, "runner " + request.path());
        }});
    server_.emplace(loop_.get_executor(),
                    [this](http::Request r) { return api_->handle(std::move(r)); });
    must(server_->listen_unix(socket_, 0600));
    tcp_port_ = must(server_->listen_tcp("127.0.0.1", 0));
    tcp_client_ = std::make_unique<http::Client>(loop_.get_executor(),
                                                 http::Endpoint::tcp("127.0.0.1", tcp_port_));
  }
  ~ApiTest() override {
    client_.reset();
    tcp_client_.reset();
    await(server_->drain());
    server_.reset();
  }

  template <typename T>
  T await(Task<T> task) {
    return provisioner::testing::run_task(loop_, std::move(task));
  }

  // --- given
  Workspace given_workspace(const std::string& name, const json& config = json::object()) {
    const std::string text = config.dump();
    const auto parsed = must(parse_workspace(WorkspaceName(name), text, "config.json"));
    must(await(store_->put_bundle(BundleHash("bundle-1"), "content")));
    return must(await(store_->publish(
        {.workspace = WorkspaceName(name),
         .definition = {parsed.normalised_json, BundleHash("bundle-1"), parsed.inputs_hash},
         .template_name = parsed.spec.template_name.value_or(""),
         .changed_by = "instance host-1",
         .first_cursor = clock_.now() - 24h,
         .schedule_hash = parsed.schedule_hash},
        clock_.now())));
  }
  ClaimedRun claim() {
    auto claimed = must(await(store_->claim_next({.instance = InstanceId("host-1"),
                                                  .incarnation = Incarnation("i"),
                                                  .claim = random_.claim_id(),
                                                  .now = clock_.now()})));
    if (!claimed) throw std::runtime_error("nothing to claim");
    return *claimed;
  }
  void finish(const AttemptFence& fence, AttemptResult result = {.status = RunStatus::kSucceeded}) {
    must(await(store_->finish_attempt(fence, std::move(result), clock_.now())));
  }
  void given_deployed(const std::string& name) {
    EXPECT_EQ(post("/workspaces/" + name + "/deploy").status, 202);
    finish(claim().fence);
  }
  static std::string state(std::int64_t serial, const std::string& value,
                           const std::string& lineage = "l-1") {
    return json({{"version", 4},
                 {"terraform_version", "1.11.4"},
                 {"serial", serial},
                 {"lineage", lineage},
                 {"outputs",
                  {{"url", {{"value", value}, {"type", "string"}}},
                   {"password", {{"value", "hunter2"}, {"type", "string"}, {"sensitive", true}}}}},
                 {"resources", json::array()}})
        .dump();
  }

  // The text of a new token.
  std::string given_token(const std::string& name, const std::string& role,
                          const std::string& workspaces = "") {
    const auto made = post("/tokens/" + name, {{"role", role}, {"workspaces", workspaces}});
    EXPECT_EQ(made.status, 201) << made.body;
    return read(made)["token"];
  }

  // --- when
  // Over TCP, with a token.
  http::Response ask_with(const std::string& token, std::string method, const std::string& path,
                          std::string body = "", http::Headers headers = {}) {
    headers["Authorization"] = "Bearer " + token;
    http::Request request{.method = std::move(method),
                          .target = "/api/v1" + path,
                          .headers = std::move(headers),
                          .body = std::move(body)};
    auto response = must(await(tcp_client_->send(request, 20s)));
    check_described(request, response);
    return response;
  }
  http::Response ask(std::string method, const std::string& path, std::string body = "",
                     http::Headers headers = {}) {
    http::Request request{.method = std::move(method),
                          .target = "/api/v1" + path,
                          .headers = std::move(headers),
                          .body = std::move(body)};
    auto response = must(await(client_->send(request, 60s)));
    check_described(request, response);
    return response;
  }
  http::Response get(const std::string& path) { return ask("GET", path); }
  http::Response post(const std::string& path, const json& body = json::object()) {
    return ask("POST", path, body.dump());
  }
  static json read(const http::Response& response) { return json::parse(response.body); }
  static std::string code(const http::Response& response) {
    return fmt::format("{} {}", response.status, read(response).value("code", ""));
  }
  http::Response over_tcp(std::string method, std::string target, http::Headers headers = {}) {
    return must(await(tcp_client_->send(
        {.method = std::move(method), .target = std::move(target), .headers = std::move(headers)},
        60s)));
  }

  struct Event {
    std::string name, id, data;
  };
  // The events of a stream up to and with the first that `enough` likes. `meanwhile` is called
  // after each event, and begins when others may have come.
  std::vector<Event> events(const std::string& path,
                            const std::function<bool(const Event&)>& enough,
                            const std::function<Task<>(Event)>& meanwhile = nullptr) {
    std::vector<Event> all;
    http::EventStreamParser parser;
    http::Client client(loop_.get_executor(), http::Endpoint::unix_socket(socket_));
    const auto ended = await(client.stream(
        {.target = "/api/v1" + path, .headers = {{"Accept", "text/event-stream"}}}, 60s,
        [&](std::string_view chunk) {
          return parser.feed(chunk, [&](auto name, auto id, auto data) {
            all.push_back({std::string(name), std::string(id), std::string(data)});
            if (meanwhile) {
              boost::asio::co_spawn(loop_, meanwhile(all.back()), boost::asio::detached);
            }
            return !enough(all.back());
          });
        }));
    must(ended);
    return all;
  }

  void check_described(const http::Request& request, const http::Response& response) {
    const auto match = find_route(request.method, request.target);
    if (!match || request.method == "HEAD") return;
    std::string method(match->route->method);
    std::ranges::transform(method, method.begin(), [](char c) { return c - 'A' + 'a'; });
    const auto type = response.headers.find("Content-Type");
    EXPECT_EQ(description_.check_answer(method, std::string(match->route->pattern), response.status,
                                        type == response.headers.end() ? "" : type->second,
                                        response.body),
              "")
        << request.method << " " << request.target << "\n"
        << response.body;
  }

  provisioner::testing::ApiDescription description_;
  provisioner::testing::TempDirectory directory_;
  std::string socket_ = directory_ / "p.sock";
  boost::asio::io_context loop_;
  SystemClock clock_{loop_.get_executor()};
  SystemRandom random_;
  LeaderView leader_{.leads = true, .lease_expires_at = {}};
  Readiness readiness_{.ready = true, .reason = ""};
  std::map<std::string, std::string> problems_;
  std::shared_ptr<KeptLog> log_ = std::make_shared<KeptLog>();
  std::unique_ptr<Store> store_;
  const Environment environment_ = process_environment();
  Fetcher fetcher_{
      clock_, Logger(log_, clock_, "templates"), environment_, {.scratch = directory_ / "fetches"}};
  std::optional<TemplateRegistry> templates_;
  std::optional<Api> api_;
  std::optional<http::Server> server_;
  std::unique_ptr<http::Client> client_ =
      std::make_unique<http::Client>(loop_.get_executor(), http::Endpoint::unix_socket(socket_));
  std::uint16_t tcp_port_ = 0;
  std::unique_ptr<http::Client> tcp_client_;
};

}  // namespace provisioner::server
