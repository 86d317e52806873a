#include "tests/chaos/failover/failover.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "tests/support/eventually.hpp"

namespace provisioner::testing {

using namespace std::chrono_literals;

Cluster* Failover::cluster_ = nullptr;
Recorder* Failover::recorder_ = nullptr;
std::string Failover::failures_;

int often() {
  const char* given = std::getenv("PROVISIONER_TEST_ROUNDS");
  return given != nullptr ? std::max(1, std::atoi(given)) : 2;
}

int rounds() { return std::min(often(), 15); }

bool at_length() { return often() > 2; }

Environment settings_under_faults() {
  // A run lives through 30 s without PostgreSQL.
  return {{"PROVISIONER_RUNS_LEASE", "60s"},
          {"PROVISIONER_RUNS_HEARTBEAT", "1s"},
          {"PROVISIONER_RUNS_STOP_ALLOWANCE", "10s"},
          {"PROVISIONER_RUNS_ON_INTERRUPT", "resume"}};
}

void Failover::SetUpTestSuite() {
  cluster_ = new Cluster(settings_under_faults());
  recorder_ = new Recorder(*cluster_, at_length() ? 60 : 12);
  cluster_->start_all();
  ASSERT_GE(cluster_->await_leader(0, kPatience), 0);
  ASSERT_TRUE(eventually(kPatience, [] { return recorder_->all_published(); }));
}

void Failover::TearDownTestSuite() {
  delete recorder_;
  delete cluster_;
  if (!failures_.empty()) fmt::print("What failed, without the daemons' logs:\n{}", failures_);
}

void Failover::SetUp() {
  for (int i = 0; i < Cluster::kSize; ++i) {
    log_begins_[static_cast<std::size_t>(i)] = cluster_->log(i).size();
  }
  recorder_->begin_work();
  somebody_leads();
}

void Failover::TearDown() {
  try {
    cluster_->mend();
    recorder_->end_work();
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
  EXPECT_EQ(recorder_->judge(harm_), "");
  if (HasFailure()) tell_failure();
}

void Failover::tell_failure() const {
  for (int i = 0; i < Cluster::kSize; ++i) {
    fmt::print("--- daemon {}\n{}", cluster_->name(i),
               cluster_->log(i).substr(log_begins_[static_cast<std::size_t>(i)]));
  }
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const auto& result = *test->result();
  for (int i = 0; i < result.total_part_count(); ++i) {
    const auto& part = result.GetTestPartResult(i);
    if (!part.failed()) continue;
    failures_ += fmt::format("{}, line {}: {}\n", test->name(), part.line_number(), part.message());
  }
}

void Failover::say_leader(std::chrono::steady_clock::time_point since) {
  const auto took = std::chrono::steady_clock::now() - since;
  fmt::print("  term {} after {} ms\n", cluster_->term(),
             std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
}

void Failover::work_goes_on() {
  const int before = recorder_->ended_runs();
  ASSERT_TRUE(eventually(kPatience, [&] { return recorder_->ended_runs() >= before + 3; }));
}

std::string Failover::begun_deploy(const std::string& workspace) {
  const std::string id = recorder_->deploy(leader_, workspace, kPatience);
  EXPECT_TRUE(eventually(kPatience, [&] { return recorder_->begun_steps(id) > 0; }));
  return id;
}

Json Failover::run(const std::string& id) {
  const auto answer = cluster_->ask(leader_, "GET", "/api/v1/runs/" + id);
  return answer.status == 200 ? Json::parse(answer.body) : Json();
}

Json Failover::ended(const std::string& id) {
  Json seen;
  const auto patience = at_length() ? 10min : 2min;
  EXPECT_TRUE(eventually(patience, [&] {
    seen = run(id);
    return seen.is_object() && seen["status"] != "queued" && seen["status"] != "running";
  })) << seen;
  return seen;
}

}  // namespace provisioner::testing
