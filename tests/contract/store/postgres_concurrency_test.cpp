// Two instances at work on one PostgreSQL at the same time.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <functional>
#include <set>
#include <thread>

#include "tests/contract/store/postgres_fixture.hpp"

namespace provisioner {
namespace {

using ::testing::UnorderedElementsAreArray;

// A daemon of its own: a thread with a loop, and a store with connections of its own.
class Instance {
 public:
  Instance(const Database& database, std::string name) : name_(std::move(name)) {
    store_ = must(open_(loop_, database.settings()));
  }

  const std::string& name() const { return name_; }
  Store& store() { return *store_; }
  ClaimId claim_id() { return random_.claim_id(); }
  const PostgresCounters& counters() const { return open_.counters(); }

  template <typename T>
  T await(Task<T> task) {
    return testing::run_task(loop_, std::move(task));
  }
  // Notes the round trips that `task` takes. Notifications that are on their way at the same time
  // may add some of their own, so the least of several tries counts.
  template <typename T>
  T count(std::int64_t& least, Task<T> task) {
    const std::int64_t before = counters().round_trips;
    T answer = await(std::move(task));
    least = std::min(least, counters().round_trips - before);
    return answer;
  }
  // All at the same time.
  void await_all(std::vector<Task<>> tasks) {
    std::size_t left = tasks.size();
    std::exception_ptr thrown;
    for (auto& task : tasks) {
      boost::asio::co_spawn(loop_, std::move(task), [&](std::exception_ptr error) {
        --left;
        if (error) thrown = error;
      });
    }
    loop_.restart();
    while (left != 0 && loop_.run_one() != 0) {
    }
    if (thrown) std::rethrow_exception(thrown);
  }

  // Claims with several calls at a time, until nothing is left.
  std::vector<ClaimedRun> claim_all(Instant now) {
    std::vector<ClaimedRun> claimed;
    std::vector<Task<>> claimers;
    for (int i = 0; i < 5; ++i) claimers.push_back(claim_while_there_are(claimed, now));
    await_all(std::move(claimers));
    return claimed;
  }

  // Sends the same chunk with several calls at a time, as a runner whose replies are lost.
  void append_often(const AttemptFence& fence, std::int64_t offset, const std::string& text) {
    const auto append = [&]() -> Task<> { must(co_await store().append_log(fence, offset, text)); };
    std::vector<Task<>> appends;
    for (int i = 0; i < 5; ++i) appends.push_back(append());
    await_all(std::move(appends));
  }

  ClaimRequest claim_request(Instant now) {
    return {.instance = InstanceId(name_),
            .incarnation = Incarnation("first"),
            .claim = claim_id(),
            .now = now};
  }

 private:
  Task<> claim_while_there_are(std::vector<ClaimedRun>& claimed, Instant now) {
    while (true) {
      const ClaimRequest request = claim_request(now);
      auto answer = co_await store().claim_next(request);
      const bool was_lost = !answer && answer.error().kind == ErrorKind::kAmbiguous;
      if (was_lost) answer = co_await store().find_claim(request.claim);
      auto next = must(std::move(answer));
      if (next) claimed.push_back(*std::move(next));
      if (!next && !was_lost) co_return;
    }
  }

  std::string name_;
  boost::asio::io_context loop_;
  PostgresOpener open_;
  SystemRandom random_;
  std::unique_ptr<Store> store_;
};

class TwoInstances : public ::testing::Test {
 protected:
  using Run = provisioner::Run;  // not ::testing::Test::Run

  static Definition definition() { return {.config = "{}", .bundle = BundleHash("b")}; }

  TwoInstances() { must(one_.await(one_.store().put_bundle(BundleHash("b"), "content"))); }

  void given_workspace(const std::string& name) {
    must(one_.await(one_.store().publish({.workspace = WorkspaceName(name),
                                          .definition = definition(),
                                          .changed_by = "instance one",
                                          .first_cursor = now_},
                                         now_)));
  }
  RunId given_queued(const std::string& name) {
    const NewRun run{.id = random_.run_id(now_),
                     .workspace = WorkspaceName(name),
                     .definition = definition(),
                     .created_at = now_};
    return must(one_.await(one_.store().enqueue(run, WhenBusy::kSupersede))).id;
  }
  ClaimedRun given_running(const std::string& name = "shop") {
    given_workspace(name);
    given_queued(name);
    return must(one_.await(one_.store().claim_next(one_.claim_request(now_)))).value();
  }
  LeaderFence given_leader(Instance& instance) {
    const Leadership seen = must(instance.await(instance.store().leadership()));
    return must(instance.await(instance.store().claim_term(seen.fence, instance.claim_id(),
                                                           InstanceId(instance.name()), now_)))
        .fence;
  }

  // Both at the same time, each on its own thread.
  static void together(const std::function<void()>& first, const std::function<void()>& second) {
    std::exception_ptr thrown;
    std::thread other([&] {
      try {
        second();
      } catch (...) {
        thrown = std::current_exception();
      }
    });
    try {
      first();
    } catch (...) {
      other.join();
      throw;
    }
    other.join();
    if (thrown) std::rethrow_exception(thrown);
  }

  static StateSlot shop() { return {.workspace = WorkspaceName("shop"), .job = ""}; }
  static StateMeta meta(std::int64_t serial) {
    return {.lineage = "lineage", .serial = serial, .sha256 = fmt::format("hash {}", serial)};
  }
  StateLock lock(const std::string& id) const {
    return {.id = id, .info_json = "{}", .created_at = now_};
  }

  Instant now_ = *parse_rfc3339("2026-11-23T08:00:00Z");
  SystemRandom random_;
  Database database_;
  Instance one_{database_, "one"};
  Instance two_{database_, "two"};
};

TEST_F(TwoInstances, I1_EachOfTwoHundredRunsIsClaimedOnce) {
  std::set<RunId> queued;
  for (int i = 0; i < 200; ++i) {
    given_workspace(fmt::format("w{}", i));
    queued.insert(given_queued(fmt::format("w{}", i)));
  }
  std::vector<ClaimedRun> by_one, by_two;
  together([&] { by_one = one_.claim_all(now_); }, [&] { by_two = two_.claim_all(now_); });

  std::vector<RunId> claimed;
  for (const auto& c : by_one) claimed.push_back(c.run.id);
  for (const auto& c : by_two) claimed.push_back(c.run.id);
  EXPECT_THAT(claimed, UnorderedElementsAreArray(queued));
  EXPECT_FALSE(by_one.empty());
  EXPECT_FALSE(by_two.empty());
  const auto attempts = must(one_.await(one_.store().running_attempts()));
  EXPECT_EQ(attempts.size(), 200u);
  for (const auto& row : attempts) EXPECT_EQ(row.attempt, Attempt(1));
  EXPECT_EQ(one_.counters().ambiguous + two_.counters().ambiguous, 0);
}

TEST_F(TwoInstances, I1_OneOfTwoCallsWithTheSameClaimMakesAnAttempt) {
  for (int i = 0; i < 20; ++i) {
    given_workspace(fmt::format("w{}", i));
    given_queued(fmt::format("w{}", i));
  }
  const ClaimRequest request = one_.claim_request(now_);
  Result<std::optional<ClaimedRun>> first, second;
  together([&] { first = one_.await(one_.store().claim_next(request)); },
           [&] { second = two_.await(two_.store().claim_next(request)); });
  EXPECT_EQ(must(one_.await(one_.store().running_attempts())).size(), 1u);
  const auto found = must(one_.await(one_.store().find_claim(request.claim)));
  ASSERT_TRUE(found);
  for (const auto* answer : {&first, &second}) {
    if (*answer) {
      EXPECT_EQ((**answer)->fence, found->fence);
    } else {
      EXPECT_EQ(outcome(*answer), "conflict");
    }
  }
}

TEST_F(TwoInstances, I2_AFormerLeaderClaimsNothingOnceItsSuccessorLeads) {
  for (int i = 0; i < 100; ++i) {
    given_workspace(fmt::format("w{}", i));
    given_queued(fmt::format("w{}", i));
  }
  const LeaderFence former = given_leader(one_);
  std::atomic<int> claimed = 0;
  std::string last;
  std::size_t at_takeover = 0;
  together(
      [&] {
        ClaimRequest request;
        do {
          request = one_.claim_request(now_);
          request.fence = former;
          const auto answer = one_.await(one_.store().claim_next(request));
          last = outcome(answer);
          if (answer && *answer) ++claimed;
          if (answer && !*answer) break;  // the successor came too late for this test to mean much
        } while (last == "ok");
      },
      [&] {
        while (claimed < 3) std::this_thread::yield();
        given_leader(two_);
        at_takeover = must(two_.await(two_.store().running_attempts())).size();
      });
  EXPECT_EQ(last, "fenced");
  const auto attempts = must(two_.await(two_.store().running_attempts()));
  EXPECT_EQ(attempts.size(), at_takeover);
  EXPECT_LT(attempts.size(), 100u);
}

TEST_F(TwoInstances, I1_OnlyTheCurrentOfTwoAttemptsWritesItsState) {
  const ClaimedRun first = given_running();
  must(one_.await(one_.store().lock_state(shop(), first.fence, lock("one"))));
  std::atomic<std::int64_t> written = 0;
  std::string last;
  ClaimedRun second;
  together(
      [&] {
        std::int64_t serial = 0;
        do {
          ++serial;
          const auto version = one_.await(one_.store().write_state(
              shop(), first.fence, "one", meta(serial), "of the first", "", now_));
          last = outcome(version);
          if (version) written = serial;
        } while (last == "ok");
      },
      [&] {
        while (written < 5) std::this_thread::yield();
        must(two_.await(two_.store().interrupt_attempt(
            std::nullopt,
            {.run = first.run.id, .attempt = first.run.attempt, .reason = "its guard is dead"},
            now_)));
        second = must(two_.await(two_.store().claim_next(two_.claim_request(now_)))).value();
        must(two_.await(two_.store().lock_state(shop(), second.fence, lock("two"))));
        for (int i = 1; i <= 5; ++i) {
          must(two_.await(two_.store().write_state(shop(), second.fence, "two", meta(1000000 + i),
                                                   "of the second", "", now_)));
        }
      });
  EXPECT_EQ(last, "fenced");
  EXPECT_EQ(second.base_state, written) << "it begins from all that was acknowledged";
  const auto versions = must(two_.await(two_.store().state_versions(shop())));
  ASSERT_EQ(static_cast<std::int64_t>(versions.size()), written + 5);
  for (const auto& version : versions) {
    EXPECT_EQ(version.attempt, Attempt(version.number > written ? 2 : 1)) << version.number;
  }
}

TEST_F(TwoInstances, AHeartbeatAndAnInterruptionNeverBothWin) {
  const ClaimedRun first = given_running();
  ClaimedRun running = first;
  for (int round = 0; round < 4; ++round) {  // a fifth interruption would end the run
    Result<HeartbeatAnswer> beat;
    Result<InterruptionOutcome> interrupted;
    together(
        [&] { beat = one_.await(one_.store().heartbeat(running.fence, now_)); },
        [&] {
          interrupted = two_.await(two_.store().interrupt_attempt(
              std::nullopt,
              {.run = running.run.id, .attempt = running.run.attempt, .reason = "silent"}, now_));
        });
    ASSERT_NE(beat.has_value(), interrupted.has_value());
    EXPECT_EQ(beat ? outcome(interrupted) : outcome(beat), beat ? "conflict" : "fenced");
    if (beat) {
      must(one_.await(one_.store().interrupt_attempt(std::nullopt,
                                                     {.run = running.run.id,
                                                      .attempt = running.run.attempt,
                                                      .heartbeat_seq = 1,
                                                      .reason = "silent"},
                                                     now_)));
    }
    running = must(one_.await(one_.store().claim_next(one_.claim_request(now_)))).value();
  }
}

// As after the start of a cluster: each has the same folders.
TEST_F(TwoInstances, AFolderThatBothSeeForTheFirstTimeAtOnceIsPublishedByBoth) {
  constexpr int kFolders = 200;
  for (int i = 0; i < kFolders; ++i) {
    const auto publish = [&](Instance& instance) {
      const auto published = instance.await(
          instance.store().publish({.workspace = WorkspaceName(fmt::format("w{}", i)),
                                    .definition = definition(),
                                    .changed_by = "instance " + instance.name(),
                                    .instance = InstanceId(instance.name()),
                                    .first_cursor = now_},
                                   now_));
      EXPECT_TRUE(published) << instance.name() << ", w" << i << ": " << published.error().message;
    };
    together([&] { publish(one_); }, [&] { publish(two_); });
  }
  EXPECT_EQ(must(one_.await(one_.store().workspaces())).size(), std::size_t{kFolders});
}

TEST_F(TwoInstances, ALogSentTwiceAtOnceIsKeptOnce) {
  const ClaimedRun running = given_running();
  std::string whole;
  for (int i = 0; i < 20; ++i) {
    const auto offset = static_cast<std::int64_t>(whole.size());
    const std::string line = fmt::format("line {}\n", i);
    together([&] { one_.append_often(running.fence, offset, line); },
             [&] { two_.append_often(running.fence, offset, line + "cut elsewhere\n"); });
    whole += line + "cut elsewhere\n";
  }
  std::string kept;
  for (const auto& chunk :
       must(one_.await(one_.store().log(running.run.id, Attempt(1), 0, 1'000'000)))) {
    EXPECT_EQ(chunk.offset, static_cast<std::int64_t>(kept.size()));
    kept += chunk.text;
  }
  EXPECT_EQ(kept, whole);
}

TEST_F(TwoInstances, ALogOfManyChunksIsReadToItsEnd) {
  const ClaimedRun running = given_running();
  constexpr int kChunks = 2500;
  for (int i = 0; i < kChunks; ++i) {
    must(one_.await(one_.store().append_log(running.fence, i, "x")));
  }
  const auto read = [&](std::int64_t offset, std::int64_t limit) {
    std::size_t bytes = 0;
    for (const auto& c :
         must(one_.await(one_.store().log(running.run.id, Attempt(1), offset, limit)))) {
      bytes += c.text.size();
    }
    return bytes;
  };
  EXPECT_EQ(read(0, 1'000'000), 2500u);
  EXPECT_EQ(read(100, 1'000'000), 2400u);
  EXPECT_EQ(read(0, 1700), 1700u);
  EXPECT_EQ(read(2499, 10), 1u);
}

TEST_F(TwoInstances, WhatARunnerDoesOftenIsOneRoundTrip) {
  given_workspace("shop");
  Store& store = one_.store();
  std::int64_t claim = 100, heartbeat = 100, log = 100, state = 100, end = 100, empty = 100;
  for (int i = 1; i <= 5; ++i) {
    given_queued("shop");
    const auto claimed = one_.count(claim, store.claim_next(one_.claim_request(now_)));
    const AttemptFence fence = claimed->value().fence;
    must(one_.count(heartbeat, store.heartbeat(fence, now_)));
    must(one_.count(log, store.append_log(fence, 0, "a line\n")));
    must(one_.await(store.lock_state(shop(), fence, lock("one"))));
    must(one_.count(state, store.write_state(shop(), fence, "one", meta(i), "body", "", now_)));
    must(one_.count(end, store.finish_attempt(fence, {.status = RunStatus::kSucceeded}, now_)));
    must(one_.count(empty, store.claim_next(one_.claim_request(now_))));
  }
  EXPECT_EQ(heartbeat, 1);
  EXPECT_EQ(log, 1);
  EXPECT_EQ(empty, 1) << "a look into an empty queue";
  EXPECT_EQ(state, 2);
  EXPECT_EQ(end, 2);
  EXPECT_EQ(claim, 3);
}

}  // namespace
}  // namespace provisioner
