// I5: a state keeps its lineage, its serial only grows, no write without the current lock.
#include "model/tofu_state.hpp"

#include <gtest/gtest.h>

namespace provisioner {
namespace {

const AttemptFence kAttempt{RunId("run-1"), Attempt(2), ClaimId("c")};

StateMeta meta(std::int64_t serial, std::string content, std::string lineage = "L") {
  return {std::move(lineage), serial, std::move(content), 1};
}

StateVersion version(std::int64_t number, StateMeta m, std::string run = "run-1", int attempt = 2) {
  StateVersion v;
  v.number = number;
  v.meta = std::move(m);
  v.run = RunId(std::move(run));
  v.attempt = Attempt(attempt);
  v.written_by = "run " + v.run->value;
  return v;
}

StateLock lock(std::string id) { return {std::move(id), "{}", std::nullopt, Attempt(0), {}}; }

TEST(StateWrite, FollowsTheRules) {
  using enum StateWriteVerdict;
  const auto current = version(7, meta(5, "five"));
  const struct {
    const char* name;
    std::optional<StateVersion> current;
    std::optional<StateLock> lock;
    std::string lock_id;
    StateMeta incoming;
    StateWriteVerdict verdict;
    std::string_view reason;
  } cases[] = {
      {"first write under the lock", std::nullopt, lock("a"), "a", meta(1, "one"), kAccept, ""},
      {"next serial", current, lock("a"), "a", meta(6, "six"), kAccept, ""},
      {"serials may jump", current, lock("a"), "a", meta(9, "nine"), kAccept, ""},
      {"a repeated post is fine", current, lock("a"), "a", meta(5, "five"), kIdentical, ""},
      {"identical content without the lock is not", current, std::nullopt, "a", meta(5, "five"),
       kRefuse, "not locked"},
      {"another's lock", current, lock("b"), "a", meta(6, "six"), kRefuse, "locked by b"},
      {"no lock named", current, lock("b"), "", meta(6, "six"), kRefuse, "names no lock"},
      {"older serial", current, lock("a"), "a", meta(4, "four"), kRefuse, "older"},
      {"same serial, other content", current, lock("a"), "a", meta(5, "other"), kRefuse, "own"},
      {"other lineage", current, lock("a"), "a", meta(6, "six", "M"), kRefuse, "lineage"},
  };
  for (const auto& c : cases) {
    const auto decision = check_state_write(c.current, c.lock, c.lock_id, c.incoming);
    EXPECT_EQ(decision.verdict, c.verdict) << c.name;
    EXPECT_NE(decision.reason.find(c.reason), std::string::npos)
        << c.name << ": " << decision.reason;
  }
}

TEST(StateRecovery, CountsOnlyWhatBelongsToTheAttempt) {
  using enum RecoveryVerdict;
  const struct {
    const char* name;
    std::optional<StateVersion> current;
    std::int64_t base;
    StateMeta recovered;
    RecoveryVerdict verdict;
  } cases[] = {
      {"nothing before, nothing now", std::nullopt, 0, meta(1, "one"), kAccept},
      {"on top of its base", version(3, meta(5, "five"), "run-0", 1), 3, meta(6, "six"), kAccept},
      {"on top of its own write", version(4, meta(6, "six")), 3, meta(9, "nine"), kAccept},
      {"handed over after all", version(4, meta(6, "six")), 3, meta(6, "six"), kAlreadyThere},
      {"an older spool file of its own", version(4, meta(6, "six")), 3, meta(5, "x"),
       kAlreadyThere},
      {"another attempt wrote since", version(4, meta(6, "six"), "run-2", 1), 3, meta(9, "nine"),
       kDiverged},
      {"other lineage", version(3, meta(5, "five"), "run-0", 1), 3, meta(6, "six", "M"), kDiverged},
      {"the base vanished", std::nullopt, 3, meta(6, "six"), kDiverged},
      {"not newer than the base, other content", version(3, meta(5, "five"), "run-0", 1), 3,
       meta(5, "other"), kDiverged},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(check_recovered_state(c.current, c.base, kAttempt, c.recovered).verdict, c.verdict)
        << c.name;
  }
}

}  // namespace
}  // namespace provisioner
