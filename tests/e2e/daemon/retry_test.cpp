// Runs that fail for a reason that may pass, and those that do not: a real daemon, and in tofu's
// place a program that prints what real providers print.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/time.hpp"
#include "tests/support/ask.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr const char* kRefused =
    "Get \"https://management.azure.com/subscriptions/0?api-version=2022-12-01\": dial tcp "
    "20.50.2.9:443: connect: connection refused";

class Retry : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto binary = installation_.root() / "stand-in-tofu";
    write_file(binary, "#!/bin/sh\nfaults=" + faults().string() + R"(/$WORKSPACE_ID
case "$1" in init|plan|apply) ;; *) exec )" +
                           tofu_on_path() +
                           R"( "$@" ;; esac
echo "$1" >> "$faults/journal"
left=$(cat "$faults/$1.left" 2>/dev/null || echo 0)
[ "$left" -gt 0 ] || exit 0
echo $((left - 1)) > "$faults/$1.left"
cat "$faults/$1"
exit 1
)");
    std::filesystem::permissions(binary, std::filesystem::perms::owner_all);
    auto& environment = installation_.environment;
    environment["PROVISIONER_TOFU_BINARY"] = binary.string();
    environment["PROVISIONER_EXECUTION_CAPACITY"] = "8";
    environment["PROVISIONER_RETRY_BASE_DELAY"] = "100ms";
  }

  std::filesystem::path faults() const { return installation_.root() / "faults"; }

  // A workspace whose `step` fails so often with that error.
  void add(const std::string& name, const std::string& step = "plan", int times = 0,
           const std::string& message = kRefused, Json config = Json::object()) {
    std::filesystem::create_directories(faults() / name);
    const Json line = {
        {"@level", "error"},
        {"@message", "Error: " + message},
        {"type", "diagnostic"},
        {"diagnostic", {{"severity", "error"}, {"summary", message}, {"detail", ""}}}};
    write_file(faults() / name / step, line.dump() + "\n");
    fail_so_often(name, step, times);
    installation_.add_workspace(name, config);
  }
  void fail_so_often(const std::string& name, const std::string& step, int times) {
    write_file(faults() / name / (step + ".left"), std::to_string(times) + "\n");
  }
  std::string journal(const std::string& name) const {
    return read_file(faults() / name / "journal");
  }

  std::string begin(const std::string& verb, const std::string& name) {
    std::vector<std::string> words = {"workspace", verb, name, "--detach"};
    if (verb == "destroy") words.emplace_back("--yes");
    return installation_.query(words)["id"];
  }
  // The run once it waits to be tried again.
  Json wait_for_retry(const std::string& id) {
    Json run;
    EXPECT_TRUE(eventually(60s, [&] {
      run = installation_.run(id);
      return run["status"] == "queued" && run["attempt"] == 1;
    })) << run.dump(1);
    return run;
  }
  static Instant time(const Json& text) { return *parse_rfc3339(text.get<std::string>()); }
  std::string log_of(const std::string& id) {
    return installation_.command({"run", "logs", id}).out;
  }

  Installation installation_;
};

TEST_F(Retry, OneRunGoesOnUntilItSucceedsAndShowsEveryAttempt) {
  installation_.environment["PROVISIONER_RETRY_BASE_DELAY"] = "1s";
  add("shop", "plan", 2);
  installation_.start();
  const auto deployed = installation_.command({"workspace", "deploy", "shop"});
  EXPECT_EQ(deployed.code, 0) << deployed.err << installation_.log();
  EXPECT_THAT(deployed.out, HasSubstr("trying again in"));

  const auto runs = installation_.runs("shop");
  ASSERT_EQ(runs.size(), 1u);
  const Json run = installation_.run(runs[0]["id"]);
  EXPECT_EQ(run["status"], "succeeded");
  EXPECT_EQ(run["retries"], 2);
  const Json& attempts = run["attempts"];
  ASSERT_EQ(attempts.size(), 3u);
  EXPECT_EQ(attempts[0]["status"], "failed");
  EXPECT_THAT(attempts[0]["error"].get<std::string>(), HasSubstr("connection refused"));
  EXPECT_EQ(attempts[2]["status"], "succeeded");
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");

  const std::string log = log_of(run["id"]);
  EXPECT_THAT(log, HasSubstr("attempt 1 failed: plan: Get \"https://management.azure.com"));
  EXPECT_THAT(log, HasSubstr("(2 of 4)"));
  EXPECT_THAT(log, HasSubstr("(3 of 4)"));
  // One and two seconds, a quarter less or more.
  const double announced[] = {std::stod(log.substr(log.find("trying again in ") + 16)),
                              std::stod(log.substr(log.rfind("trying again in ") + 16))};
  for (std::size_t i = 0; i < 2; ++i) {
    const double base = i == 0 ? 1 : 2;
    EXPECT_GE(announced[i], 0.74 * base);
    EXPECT_LE(announced[i], 1.26 * base);
    const std::chrono::duration<double> waited =
        time(attempts[i + 1]["started_at"]) - time(attempts[i]["finished_at"]);
    EXPECT_GE(waited.count(), announced[i] - 0.1);
  }
}

struct Case {
  const char* name;
  const char* step;
  const char* message;
  bool is_retryable;
};

TEST_F(Retry, IsForWhatMayPassAndForNothingElse) {
  const Case cases[] = {
      {"refused", "plan", kRefused, true},
      {"registry", "init",
       "Failed to query available provider packages: could not connect to registry.opentofu.org: "
       "Get \"https://registry.opentofu.org/.well-known/terraform.json\": net/http: request "
       "canceled "
       "(Client.Timeout exceeded while awaiting headers)",
       true},
      {"names", "plan",
       "Post \"https://login.microsoftonline.com/x\": dial tcp: lookup login.microsoftonline.com: "
       "Temporary failure in name resolution",
       true},
      {"throttled", "apply",
       "creating Record: operation error Route 53: ChangeResourceRecordSets, https response error "
       "StatusCode: 400, RequestID: 7f, api error Throttling: Rate exceeded",
       true},
      {"busy", "apply", "googleapi: Error 503: The service is currently unavailable., backendError",
       true},
      {"tls", "plan", "Get \"https://35.205.221.152/api\": net/http: TLS handshake timeout", true},
      {"wrong", "plan", "Unsupported argument", false},
      {"expired", "plan",
       "operation error STS: GetCallerIdentity, https response error StatusCode: 403, RequestID: "
       "6, "
       "api error ExpiredToken: The security token included in the request is expired",
       false},
      {"quota", "apply",
       "creating EC2 Instance: operation error EC2: RunInstances, https response error StatusCode: "
       "400, RequestID: 8, api error VcpuLimitExceeded: more than your current vCPU limit",
       false},
      {"exists", "apply",
       "A resource with the ID \"/subscriptions/0/resourceGroups/x\" already exists - to be "
       "managed "
       "via Terraform this resource needs to be imported into the State.",
       false},
      {"versions", "init",
       "Failed to query available provider packages: no available releases match the given "
       "constraints ~> 99.0",
       false},
      {"unsaved", "apply", "Failed to save state: error saving state: connection refused", false},
  };
  installation_.environment["PROVISIONER_BREAKER_MAX_FAILURES"] = "100";
  for (const Case& c : cases) add(c.name, c.step, 1, c.message);
  installation_.start();
  std::vector<std::string> ids;
  for (const Case& c : cases) ids.push_back(begin("deploy", c.name));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Json run = installation_.wait_for_end(ids[i]);
    EXPECT_EQ(run["status"], cases[i].is_retryable ? "succeeded" : "failed") << run.dump(1);
    EXPECT_EQ(run["attempts"].size(), cases[i].is_retryable ? 2u : 1u) << run.dump(1);
    EXPECT_EQ(installation_.runs(cases[i].name).size(), 1u);
  }
  // A whole new cycle, not the same plan again.
  EXPECT_EQ(journal("busy"), "init\nplan\napply\ninit\nplan\napply\n");
}

TEST_F(Retry, EndsAfterThreeOrAsOftenAsTheWorkspaceSays) {
  add("shop", "plan", 100);
  add("once", "plan", 100, kRefused, {{"retry", {{"max_retries", 0}}}});
  installation_.start();
  const auto shop = begin("deploy", "shop");
  const auto once = begin("deploy", "once");
  const Json run = installation_.wait_for_end(shop);
  EXPECT_EQ(run["status"], "failed");
  EXPECT_EQ(run["attempts"].size(), 4u);
  EXPECT_EQ(installation_.wait_for_end(once)["attempts"].size(), 1u);
  const Json workspace = installation_.workspace("shop");
  EXPECT_EQ(workspace["status"], "deploy_failed");
  EXPECT_EQ(workspace["retry_at"], nullptr);
}

TEST_F(Retry, OfADestroyComeBeforeThoseOfHours) {
  add("shop");
  installation_.start();
  installation_.wait_for_end(begin("deploy", "shop"));
  fail_so_often("shop", "plan", 1);
  EXPECT_EQ(installation_.wait_for_end(begin("destroy", "shop"))["attempts"].size(), 2u);
  EXPECT_EQ(installation_.workspace("shop")["status"], "destroyed");
}

TEST_F(Retry, OneBrokenHostKeepsNobodyElseWaiting) {
  auto& environment = installation_.environment;
  environment["PROVISIONER_BREAKER_MAX_FAILURES"] = "2";
  environment["PROVISIONER_BREAKER_TIMEOUT"] = "6s";
  add("broken-1", "plan", 100);
  add("broken-2", "plan", 100);
  add("healthy");
  installation_.start();
  const auto first = begin("deploy", "broken-1");
  const auto second = begin("deploy", "broken-2");
  ASSERT_TRUE(eventually(60s, [&] {
    return installation_.log().contains("management.azure.com failed too often");
  })) << installation_.log();
  // Whichever opened it waits much longer than 100 ms.
  const auto is_held_back = [&](const std::string& id) {
    const Json run = installation_.run(id);
    return run["status"] == "queued" &&
           time(run["not_before"]) - time(run["attempts"].back()["finished_at"]) > 4s;
  };
  ASSERT_TRUE(eventually(60s, [&] { return is_held_back(first) || is_held_back(second); }));

  const auto health = ask(installation_.state_dir(), "GET", "/health/deep").body;
  EXPECT_THAT(health, HasSubstr("breaker: tofu: management.azure.com"));

  const Json healthy = installation_.wait_for_end(begin("deploy", "healthy"));
  EXPECT_EQ(healthy["status"], "succeeded");
  EXPECT_EQ(healthy["attempts"].size(), 1u);
  const std::chrono::duration<double> queued =
      time(healthy["started_at"]) - time(healthy["created_at"]);
  EXPECT_LT(queued.count(), 5.0) << "it did not wait for the others' host";

  fail_so_often("broken-1", "plan", 0);
  fail_so_often("broken-2", "plan", 0);
  EXPECT_EQ(installation_.wait_for_end(first)["status"], "succeeded");
  EXPECT_EQ(installation_.wait_for_end(second)["status"], "succeeded");
  EXPECT_THAT(installation_.log(), HasSubstr("management.azure.com is tried again by a few runs"));
}

class LongRetry : public Retry {
 protected:
  void SetUp() override {
    Retry::SetUp();
    installation_.environment["PROVISIONER_RETRY_BASE_DELAY"] = "10m";
    installation_.environment["PROVISIONER_RETRY_MAX_DELAY"] = "10m";
    add("shop", "plan", 1);
    installation_.start();
    id_ = begin("deploy", "shop");
    waiting_ = wait_for_retry(id_);
  }

  std::string id_;
  Json waiting_;
};

TEST_F(LongRetry, IsShownWhileItWaits) {
  EXPECT_THAT(waiting_["error"].get<std::string>(), HasSubstr("connection refused"));
  EXPECT_GT(time(waiting_["not_before"]), time(waiting_["attempts"][0]["finished_at"]) + 7min);
  const Json workspace = installation_.workspace("shop");
  EXPECT_EQ(workspace["status"], "deploy_failed");
  EXPECT_EQ(workspace["retry_at"], waiting_["not_before"]);
  EXPECT_THAT(workspace["last_error"].get<std::string>(), HasSubstr("connection refused"));
  const auto busy = installation_.command({"workspace", "deploy", "shop"});
  EXPECT_EQ(busy.code, 4);
  EXPECT_THAT(busy.err, HasSubstr("tried again at"));
}

TEST_F(LongRetry, IsCancelledAtOnce) {
  EXPECT_EQ(installation_.command({"run", "cancel", id_}).code, 0);
  const Json run = installation_.run(id_);
  EXPECT_EQ(run["status"], "cancelled") << run.dump(1);
  EXPECT_EQ(run["attempts"].size(), 1u);
  EXPECT_EQ(installation_.workspace("shop")["retry_at"], nullptr);
}

TEST_F(LongRetry, IsStoppedByAHold) {
  EXPECT_EQ(installation_.command({"workspace", "hold", "shop"}).code, 0);
  const Json run = installation_.run(id_);
  EXPECT_EQ(run["status"], "failed") << run.dump(1);
  EXPECT_THAT(run["error"].get<std::string>(), HasSubstr("not tried again: the workspace is held"));
}

TEST_F(LongRetry, SurvivesTheDaemon) {
  installation_.kill_daemon();
  installation_.start();
  const Json run = installation_.run(id_);
  EXPECT_EQ(run["status"], "queued");
  EXPECT_EQ(run["not_before"], waiting_["not_before"]);
  const auto newer = installation_.command({"workspace", "deploy", "shop", "--queue"});
  EXPECT_EQ(newer.code, 0) << newer.err;
  EXPECT_EQ(installation_.run(id_)["status"], "failed");
}

}  // namespace
}  // namespace provisioner::testing
