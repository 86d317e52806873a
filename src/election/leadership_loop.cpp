#include "election/leadership_loop.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/first_of.hpp"

namespace provisioner {

using namespace std::chrono_literals;

LeadershipLoop::LeadershipLoop(const boost::asio::any_io_executor& loop, Election& election,
                               Store& store, Clock& clock, Random& random, InstanceId me,
                               Logger log)
    : election_(election),
      store_(store),
      clock_(clock),
      random_(random),
      me_(std::move(me)),
      log_(std::move(log)),
      look_(loop) {
  subscription_ = store_.subscribe([this](const Change& change) {
    if (change.topic == Change::Topic::kLeadership) look_.notify();
  });
}

void LeadershipLoop::stop() {
  stopping_ = true;
  look_.notify();
}

void LeadershipLoop::stand_aside(bool aside) {
  aside_ = aside;
  look_.notify();
}

std::optional<LeaderFence> LeadershipLoop::fence() const {
  if (!won_ || clock_.boot_now() >= won_->deadline) return std::nullopt;
  return won_->fence;
}

std::optional<BootInstant> LeadershipLoop::deadline() const {
  return fence() ? std::optional(won_->deadline) : std::nullopt;
}

void LeadershipLoop::become(std::optional<WonTerm> won) {
  const bool changed = won.has_value() != won_.has_value() || (won && won->fence != won_->fence);
  won_ = std::move(won);
  if (!changed) return;
  for (const auto& listener : listeners_) listener();
}

Task<> LeadershipLoop::run() {
  Backoff backoff(100ms, 5s);
  while (!stopping_) {
    co_await let_others_first();
    if (stopping_) break;
    const Status ended = co_await lead_once();
    const std::optional<WonTerm> lost = won_;
    become(std::nullopt);
    // First of all: the store may be what was lost, and slow to say so.
    co_await election_.resign();
    if (lost) {
      backoff.reset();
      co_await tell("cluster.stopped_leading", lost->fence.term,
                    ended ? "resigned" : ended.error().message);
    }
    if (stopping_) break;
    if (ended) continue;
    log_.warning(fmt::format("not leading: {}", ended.error().message));
    co_await look_.wait_until(clock_, clock_.boot_now() + backoff.next(random_));
  }
}

// Best effort: the store may be what was lost.
Task<> LeadershipLoop::tell(std::string action, Term term, std::string outcome) {
  const auto told = co_await store_.audit({.at = clock_.now(),
                                           .actor = "instance " + me_.value,
                                           .action = std::move(action),
                                           .target = fmt::format("term {}", term.value),
                                           .outcome = std::move(outcome)});
  if (!told) log_.debug("recording a change of leadership: " + told.error().message);
}

bool LeadershipLoop::must_yield(const Leadership& row) {
  if (!row.transfer || row.transfer->means(me_)) return false;
  // Counted from when it was first seen here: clocks of others decide nothing.
  if (!yielding_ || yielding_->wish != row.transfer->id) {
    yielding_ = Yielding{row.transfer->id, clock_.boot_now() + election_.timing().ttl};
  }
  return clock_.boot_now() < yielding_->until;
}

Task<> LeadershipLoop::let_others_first() {
  while (!stopping_) {
    if (aside_) {
      co_await look_.wait();
      continue;
    }
    const auto row = co_await store_.leadership();
    if (!row || !must_yield(*row)) co_return;
    co_await look_.wait_until(clock_, std::min(yielding_->until, clock_.boot_now() + 200ms));
  }
}

Task<Result<BootInstant>> LeadershipLoop::campaign_or_stop() {
  Result<BootInstant> won = fail(ErrorKind::kCancelled, "stopped while campaigning");
  auto campaign = [](Election& election, Result<BootInstant>& answer) -> Task<> {
    answer = co_await election.campaign();
  };
  auto called_off = [](LeadershipLoop& self) -> Task<> {
    while (!self.stopping_ && !self.aside_) co_await self.look_.wait();
  };
  co_await first_of(campaign(election_, won), called_off(*this));
  co_return won;
}

Task<Status> LeadershipLoop::lead_once() {
  const auto won = co_await campaign_or_stop();
  if (stopping_ || aside_) co_return Status();
  if (!won) co_return fail("campaigning", won.error());
  const auto row = co_await store_.leadership();
  if (!row) co_return fail("reading who leads", row.error());
  if (must_yield(*row)) co_return Status();
  auto term = co_await claim_term(election_, store_, clock_, random_, me_, *row);
  if (!term) co_return std::unexpected(term.error());
  yielding_.reset();
  become(*term);
  log_.info(fmt::format("leading with term {}", term->fence.term.value),
            {{"term", fmt::format("{}", term->fence.term.value)}});
  co_await tell("cluster.leading", term->fence.term, "claimed");
  const Status ended = co_await stay_leader();
  if (ended) {
    const LeaderFence fence = won_->fence;
    become(std::nullopt);  // decide nothing more, then say so
    co_await hand_back(fence);
    co_await tell("cluster.stopped_leading", fence.term, "resigned");
  }
  co_return ended;
}

// To both at once, since the next one waits for the election and needs a moment to come to the
// store. Should it be there first, its term has ended ours all the same.
Task<> LeadershipLoop::hand_back(LeaderFence fence) {
  auto to_store = [](LeadershipLoop& self, LeaderFence ended) -> Task<> {
    const Status resigned = co_await self.store_.resign(ended, self.clock_.now());
    if (resigned || resigned.error().kind == ErrorKind::kFenced) co_return;
    self.log_.warning(fmt::format("handing back the leadership: {}", resigned.error().message));
  };
  co_await both_of(to_store(*this, fence), election_.resign());
}

Task<Status> LeadershipLoop::stay_leader() {
  const ElectionTiming timing = election_.timing();
  BootInstant store_answered = clock_.boot_now();
  while (true) {
    co_await look_.wait_until(clock_, std::min(clock_.boot_now() + timing.renew, won_->deadline));
    if (stopping_ || aside_) co_return Status();
    if (clock_.boot_now() >= won_->deadline) {
      co_return fail(ErrorKind::kTimeout, "the lease ended before it was renewed");
    }
    const auto renewed = co_await election_.renew();
    if (renewed) {
      won_->deadline = *renewed;
    } else if (renewed.error().kind == ErrorKind::kFenced) {
      co_return fail("renewing the lease", renewed.error());
    }  // else nobody answered: the old deadline stands

    const auto row = co_await store_.leadership();
    if (row) {
      store_answered = clock_.boot_now();
      if (row->fence != won_->fence && row->fence.term <= won_->fence.term) {
        co_return fail(
            ErrorKind::kFenced,
            fmt::format("the store has forgotten term {}: it failed over to a server "
                        "that lacked its last commits, and knows term {} of {}",
                        won_->fence.term.value, row->fence.term.value, row->leader.value));
      }
      if (row->fence != won_->fence) {
        co_return fail(ErrorKind::kFenced,
                       fmt::format("term {} of {} came after term {}", row->fence.term.value,
                                   row->leader.value, won_->fence.term.value));
      }
      if (row->transfer && !row->transfer->means(me_)) {
        yielding_ = Yielding{row->transfer->id, clock_.boot_now() + timing.ttl};
        log_.info(fmt::format("handing over to {}", row->transfer->to.empty()
                                                        ? "another instance"
                                                        : row->transfer->to.value));
        co_return Status();
      }
    } else if (clock_.boot_now() - store_answered >= timing.ttl) {
      co_return fail("the store did not answer for a whole lease", row.error());
    }
  }
}

}  // namespace provisioner
