// A real tofu deploys through our state backend and is disturbed at every step of the protocol; the
// next attempt must find a state that has lost nothing (I5, I8) and no lock in its way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/integration/tofu/state_service.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temp_directory.hpp"
#include "tofu/binary.hpp"
#include "tofu/command_line.hpp"
#include "tofu/output.hpp"
#include "tofu/state_body.hpp"
#include "tofu/variables.hpp"

namespace provisioner::testing {
namespace {

namespace fs = std::filesystem;
using Kind = Disturbance::Kind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Each resource writes its name into `effects` when it is created: what the world has seen.
constexpr std::string_view kContent = R"(
variable "effects" { type = string }
resource "terraform_data" "first" {
  provisioner "local-exec" { command = "echo first >> ${var.effects}" }
}
resource "terraform_data" "second" {
  input = terraform_data.first.id
  provisioner "local-exec" { command = "echo second >> ${var.effects}" }
}
)";

std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The programs that a disturbance may kill, one at a time.
class Tofu {
 public:
  explicit Tofu(fs::path directory) : directory_(std::move(directory)) {
    const char* path = std::getenv("PATH");
    binary_ = tofu::find_binary("", path ? path : "").found;
  }

  bool is_there() const { return binary_.has_value(); }
  const std::string& why_not() const { return binary_.error().message; }

  // The exit code; what it said is in summary().
  int run(const std::string& step, tofu::Arguments arguments, const Environment& environment) {
    arguments.insert(arguments.begin(), {binary_->path.string(), "-chdir=" + directory_.string()});
    const fs::path output = directory_ / (step + ".out");
    fs::remove(output);
    int code = 0;
    {
      Background process(arguments, environment, output);
      pid_ = process.pid();
      code = process.wait(std::chrono::seconds(60));
      pid_ = 0;
    }
    tofu::OutputParser parser;
    parser.feed(content_of(output));
    parser.finish();
    summary_ = parser.summary();
    return code;
  }

  // On another thread than run(); the program may not have told its pid yet.
  void kill() {
    while (pid_ == 0) std::this_thread::yield();
    ::kill(pid_, SIGKILL);
  }

  const tofu::OutputSummary& summary() const { return summary_; }

 private:
  fs::path directory_;
  Result<tofu::Binary> binary_ = fail(ErrorKind::kNotFound, "not searched");
  std::atomic<pid_t> pid_ = 0;
  tofu::OutputSummary summary_;
};

class InterruptedApply : public ::testing::Test {
 protected:
  InterruptedApply() : service_(directory_ / "provisioner.db"), tofu_(prepared_work()) {}

  void SetUp() override {
    if (!tofu_.is_there()) GTEST_SKIP() << tofu_.why_not();
  }

  // One attempt: init, plan, apply. True when all three succeeded.
  bool deploy(const ClaimedRun& claimed, Disturbance disturbance = {}) {
    const std::string address = service_.serve(claimed, disturbance, [this] { tofu_.kill(); });
    Environment environment = tofu::automation_environment();
    environment.merge(tofu::backend_environment({address, claimed.run.id.value, "secret"}));
    environment["TF_CLI_CONFIG_FILE"] = "";
    const std::string plan = (work() / "saved.tfplan").string();
    const std::string variables = (work() / "values.tfvars.json").string();
    const bool succeeded =
        tofu_.run("init", tofu::init_arguments({}), environment) == 0 &&
        tofu_.run("plan", tofu::plan_arguments({.var_file = variables, .plan_file = plan}),
                  environment) == 0 &&
        tofu_.run("apply", tofu::apply_arguments(plan), environment) == 0;
    conversation_ = service_.conversation();
    service_.stop_serving();
    return succeeded;
  }

  // What a dead attempt left in its directory.
  std::vector<std::string> left_behind() {
    const fs::path errored = work() / "errored.tfstate";
    if (!fs::exists(errored)) return {};
    const auto body = tofu::completed_state(content_of(errored));
    fs::remove(errored);
    if (!body) throw std::runtime_error(body.error().message);
    return {*body};
  }

  std::vector<std::string> effects() {
    std::istringstream lines(content_of(directory_ / "effects"));
    return {std::istream_iterator<std::string>(lines), {}};
  }

  void expect_converged() {
    const auto versions = service_.versions();
    ASSERT_FALSE(versions.empty());
    for (std::size_t i = 0; i + 1 < versions.size(); ++i) {
      EXPECT_FALSE(versions[i].divergent);
      EXPECT_EQ(versions[i].meta.lineage, versions[i + 1].meta.lineage);
      EXPECT_GT(versions[i].meta.serial, versions[i + 1].meta.serial);
    }
    EXPECT_EQ(versions.front().meta.resources, 2);
    EXPECT_TRUE(tofu::parse_state(service_.body(versions.front().number)));
    EXPECT_FALSE(service_.lock().has_value());
  }

  fs::path work() const { return directory_ / "work"; }

  fs::path prepared_work() const {
    write_file(work() / "main.tf", kContent);
    write_file(work() / tofu::kOverrideFile, tofu::override_file_text());
    const std::string effects = "\"" + (directory_ / "effects").string() + "\"";
    write_file(work() / "values.tfvars.json",
               tofu::variable_file({{"effects", effects}}, "", {}).value());
    return work();
  }

  TempDirectory directory_;
  StateService service_;
  Tofu tofu_;
  std::vector<std::string> conversation_;
};

// The conversation of an undisturbed first deploy. The steps below are counted by it.
constexpr int kRequests = 9;
constexpr int kPost = 8;

TEST_F(InterruptedApply, UndisturbedTheConversationIsTheOneThatTheStepsCount) {
  const ClaimedRun claimed = service_.claim();
  ASSERT_TRUE(deploy(claimed)) << tofu_.summary().first_error();
  EXPECT_THAT(conversation_, ElementsAre("GET 204", "LOCK 200", "GET 204", "UNLOCK 200", "LOCK 200",
                                         "GET 204", "GET 204", "POST 200", "UNLOCK 200"));
  static_assert(kRequests == 9);
  service_.finish(claimed);
  expect_converged();
  EXPECT_THAT(effects(), ElementsAre("first", "second"));
}

struct Case {
  Kind kind;
  bool after;
  int request;

  std::string name() const {
    const char* what = kind == Kind::kLostReply    ? "TheReplyIsLost"
                       : kind == Kind::kRunnerDies ? "TheRunnerDies"
                                                   : "TofuDies";
    return fmt::format("{}{}Request{}", what, after ? "After" : "Before", request);
  }
  friend void PrintTo(const Case& one, std::ostream* out) { *out << one.name(); }
};

std::vector<Case> every_step() {
  std::vector<Case> cases;
  for (const Kind kind : {Kind::kLostReply, Kind::kRunnerDies, Kind::kTofuDies}) {
    for (const bool after : {false, true}) {
      for (int request = 1; request <= kRequests; ++request) {
        cases.push_back({kind, after, request});
      }
    }
  }
  return cases;
}

class AtEveryStep : public InterruptedApply, public ::testing::WithParamInterface<Case> {};

TEST_P(AtEveryStep, NothingIsLostAndTheNextAttemptConverges) {
  const Case& c = GetParam();
  ClaimedRun claimed = service_.claim();
  const bool succeeded = deploy(claimed, {c.kind, c.after, c.request});
  ASSERT_GE(static_cast<int>(conversation_.size()), c.request) << "the step was never reached";

  if (c.kind == Kind::kLostReply) {
    EXPECT_TRUE(succeeded) << tofu_.summary().first_error();
  } else {
    // A dead runner at the very end is noticed only by a warning; whatever tofu said, the attempt
    // is over without a result.
    const std::vector<std::string> recovered = left_behind();
    const std::vector<std::string> seen = effects();
    const InterruptionOutcome outcome = service_.interrupt(claimed, recovered);
    ASSERT_EQ(outcome.run_status, RunStatus::kQueued) << outcome.sentence;
    // What the world has seen is in the state, or was left behind and is in the state now, unless
    // tofu was killed before it could say it.
    const auto versions = service_.versions();
    const bool told =
        c.kind == Kind::kRunnerDies || (c.request == kPost && c.after) || c.request > kPost;
    if (told && !seen.empty()) {
      ASSERT_FALSE(versions.empty());
      EXPECT_EQ(versions.front().meta.resources, static_cast<std::int64_t>(seen.size()));
    }
    claimed = service_.claim();
    EXPECT_TRUE(deploy(claimed)) << tofu_.summary().first_error();
    EXPECT_EQ(tofu_.summary().lock_in_the_way, std::nullopt);
    if (told) EXPECT_THAT(effects(), ElementsAre("first", "second")) << "nothing was made twice";
  }
  service_.finish(claimed);
  expect_converged();
}

INSTANTIATE_TEST_SUITE_P(Protocol, AtEveryStep, ::testing::ValuesIn(every_step()),
                         [](const auto& info) { return info.param.name(); });

TEST_F(InterruptedApply, AStaleAttemptWritesNothingAndItsStateIsKeptForAPerson) {
  const ClaimedRun stale = service_.claim();
  ASSERT_TRUE(deploy(stale)) << tofu_.summary().first_error();
  service_.interrupt(stale, {});
  const ClaimedRun fresh = service_.claim();
  const auto before = service_.versions();

  EXPECT_FALSE(deploy(stale)) << "the old attempt is fenced";
  EXPECT_EQ(service_.versions().size(), before.size());
  EXPECT_FALSE(service_.lock().has_value());

  EXPECT_TRUE(deploy(fresh)) << tofu_.summary().first_error();
  service_.finish(fresh);
  expect_converged();
}

TEST_F(InterruptedApply, ADestroyLeavesAnEmptyStateOfTheSameLineage) {
  ClaimedRun claimed = service_.claim();
  ASSERT_TRUE(deploy(claimed)) << tofu_.summary().first_error();
  const std::string address = service_.serve(claimed, {}, [] {});
  Environment environment = tofu::automation_environment();
  environment.merge(tofu::backend_environment({address, claimed.run.id.value, "secret"}));
  const std::string plan = (work() / "destroy.tfplan").string();
  const std::string variables = (work() / "values.tfvars.json").string();
  ASSERT_EQ(
      tofu_.run("plan",
                tofu::plan_arguments({.destroy = true, .var_file = variables, .plan_file = plan}),
                environment),
      0);
  EXPECT_EQ(tofu_.summary().planned, (ResourceCounts{0, 0, 2}));
  ASSERT_EQ(tofu_.run("apply", tofu::apply_arguments(plan), environment), 0);
  EXPECT_EQ(tofu_.summary().applied, (ResourceCounts{0, 0, 2}));
  const auto versions = service_.versions();
  EXPECT_EQ(versions.front().meta.resources, 0);
  EXPECT_EQ(versions.front().meta.lineage, versions.back().meta.lineage);
}

}  // namespace
}  // namespace provisioner::testing
