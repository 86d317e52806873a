#include "tofu/errors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tofu/sample.hpp"

namespace provisioner::tofu {
namespace {

using provisioner::testing::sample;
using ::testing::HasSubstr;

OutputSummary summary_of(std::string_view output) {
  OutputParser parser;
  parser.feed(output);
  parser.finish();
  return parser.summary();
}

OutputSummary summary_with(std::string summary, std::string detail = "") {
  OutputSummary result;
  result.errors.push_back({.summary = std::move(summary), .detail = std::move(detail)});
  return result;
}

struct Sampled {
  const char* sample;
  const char* step;
  FailureKind kind;
};

TEST(Failures, OfARealBinaryAreUnderstood) {
  const Sampled cases[] = {
      {"plan_invalid.jsonl", "plan", FailureKind::kConfiguration},
      {"plan_locked.jsonl", "plan", FailureKind::kLocked},
      {"apply_stale.jsonl", "apply", FailureKind::kPlanStale},
      {"apply_failed.jsonl", "apply", FailureKind::kTransient},  // "connection refused"
      {"init_backend_changed.txt", "init", FailureKind::kOther},
  };
  for (const Sampled& example : cases) {
    const Failure failure =
        classify_failure({example.step, 1, 0}, summary_of(sample(example.sample)), "");
    EXPECT_EQ(to_string(failure.kind), to_string(example.kind)) << example.sample;
    EXPECT_THAT(failure.sentence, ::testing::StartsWith(std::string(example.step) + ": "));
  }
}

TEST(Failures, ALockedStateNamesTheHoldersLock) {
  const Failure failure =
      classify_failure({"plan", 1, 0}, summary_of(sample("plan_locked.jsonl")), "");
  EXPECT_EQ(failure.lock_id, "0f1e2d3c-aaaa-bbbb-cccc-000000000001");
  EXPECT_FALSE(failure.is_retryable());
}

struct Told {
  const char* summary;
  const char* detail;
  FailureKind kind;
};

TEST(Failures, AreDecidedByWhatTofuSays) {
  const Told cases[] = {
      {"creating bucket", "Throttling: Rate exceeded", FailureKind::kTransient},
      {"Failed to query available provider packages", "dial tcp: i/o timeout",
       FailureKind::kTransient},
      {"Failed to install provider", "lookup x: Temporary failure in name resolution",
       FailureKind::kTransient},
      {"Get https://x", "503 Service Unavailable", FailureKind::kTransient},
      {"creating instance", "UnauthorizedOperation", FailureKind::kDenied},
      {"No value for required variable", "", FailureKind::kConfiguration},
      {"Failed to save state", "Error saving state: HTTP error: 409", FailureKind::kStateRefused},
      {"Failed to save state", "Error saving state: connection refused",
       FailureKind::kStateUnsaved},
      {"execution halted", "", FailureKind::kInterrupted},
      {"Error acquiring the state lock", "Failed to lock: connection refused",
       FailureKind::kTransient},
  };
  for (const Told& example : cases) {
    const Failure failure =
        classify_failure({"apply", 1, 0}, summary_with(example.summary, example.detail), "");
    EXPECT_EQ(to_string(failure.kind), to_string(example.kind))
        << example.summary << ": " << example.detail;
  }
}

TEST(Failures, OneErrorThatForbidsARetryWinsOverOnesThatAllowIt) {
  OutputSummary summary = summary_with("reading zone", "timeout");
  summary.errors.push_back({.summary = "creating zone", .detail = "permission denied"});
  EXPECT_FALSE(classify_failure({"apply", 1, 0}, summary, "").is_retryable());
}

TEST(Failures, WithoutDiagnosticsTheLastLinesAndTheExitCount) {
  const OutputSummary none;
  EXPECT_EQ(classify_failure({"command", 3, 0}, none, "one\ncurl: (7) Connection refused\n\n"),
            (Failure{FailureKind::kTransient,
                     "command failed with exit code 3: curl: (7) Connection refused",
                     {},
                     ""}));
  EXPECT_EQ(classify_failure({"init", 1, 0}, none, ""),
            (Failure{FailureKind::kOther, "init failed with exit code 1", {}, ""}));
  EXPECT_EQ(classify_failure({"apply", 0, 9}, none, ""),
            (Failure{FailureKind::kInterrupted, "apply was ended by signal 9", {}, ""}));
}

TEST(Failures, OfAPlanThatWasNotInitialisedAskForInit) {
  EXPECT_TRUE(asks_for_init(
      summary_with("Inconsistent dependency lock file",
                   "To update the locked dependency selections to match a changed configuration, "
                   "run:\n  terraform init -upgrade"),
      ""));
  EXPECT_TRUE(asks_for_init(
      summary_with("Module not installed", "Run \"tofu init\" to install all modules."), ""));
  EXPECT_TRUE(asks_for_init({}, "Error: Backend initialization required, please run ..."));
  EXPECT_FALSE(asks_for_init(summary_with("Invalid reference", "There is no resource \"init\"."),
                             "Error: Invalid reference"));
}

}  // namespace
}  // namespace provisioner::tofu
