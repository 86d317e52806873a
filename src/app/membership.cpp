#include "app/membership.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace provisioner {
namespace {

using namespace std::chrono_literals;

// A row that stood still for longer, by the store's clock, belongs to nobody who lives.
constexpr Duration kLongSilence = 60s;
// Two beats and a second: who lives is seen to move within it.
constexpr Duration kWatch = 2 * Membership::kBeatEvery + 1s;

Task<Result<std::optional<Instance>>> find(Store& store, InstanceId id) {
  auto rows = co_await store.instances();
  if (!rows) co_return fail("reading the instances from the store", rows.error());
  for (auto& row : *rows) {
    if (row.id == id) co_return std::move(row);
  }
  co_return std::nullopt;
}

}  // namespace

Membership::Membership(Parts parts, Instance me)
    : parts_(std::move(parts)), me_(std::move(me)), look_(parts_.loop) {
  subscription_ = parts_.store.subscribe([this](const Change& change) {
    if (change.topic == Change::Topic::kLeadership && change.key == me_.id.value) look_.notify();
  });
}

Instance Membership::now() const {
  Instance row = me_;
  row.last_seen = parts_.clock.now();
  row.ready = parts_.ready();
  return row;
}

Task<Status> Membership::enter() {
  const auto before = co_await find(parts_.store, me_.id);
  if (!before) co_return std::unexpected(before.error());
  if (*before && !(*before)->stopped && (*before)->home != me_.home) {
    const auto store_now = co_await parts_.store.clock();
    if (!store_now) co_return fail("reading the store's clock", store_now.error());
    if (*store_now - (*before)->last_seen < kLongSilence) {
      parts_.log.warning(
          fmt::format("an instance {} was here a moment ago (home {}): watching "
                      "whether it lives",
                      me_.id.value, (*before)->home));
      co_await parts_.clock.sleep_for(kWatch);
      const auto after = co_await find(parts_.store, me_.id);
      if (!after) co_return std::unexpected(after.error());
      if (*after && ((*after)->last_seen != (*before)->last_seen ||
                     (*after)->incarnation != (*before)->incarnation)) {
        co_return fail(ErrorKind::kConflict,
                       fmt::format("another live instance has the id {} (home {}): give each its "
                                   "own instance_id (INSTANCE_ID)",
                                   me_.id.value, (*after)->home));
      }
    }
  }
  auto entered = co_await parts_.store.enter_instance(now());
  if (!entered) co_return fail("entering this instance in the store", entered.error());
  draining_ = entered->draining;
  const auto all = co_await parts_.store.instances();
  if (!all) co_return fail("reading the instances", all.error());
  was_first_ = std::ranges::none_of(*all, [&](const Instance& other) {
    return other.id != me_.id && !other.stopped &&
           other.last_seen + 3 * kBeatEvery > entered->last_seen;
  });
  co_return Status();
}

Task<> Membership::run() {
  while (id_lost_.empty()) {
    co_await look_.wait_until(parts_.clock, parts_.clock.boot_now() + kBeatEvery);
    co_await beat();
    co_await compare_clocks();
  }
}

Task<> Membership::beat() {
  const bool was_draining = draining_;
  const auto row = co_await parts_.store.beat_instance(now());
  Status told = row ? Status() : std::unexpected(row.error());
  if (row) draining_ = row->draining;
  if (!told && told.error().kind == ErrorKind::kConflict) told = co_await enter_again(told.error());
  if (!told && told.error().kind == ErrorKind::kConflict) {
    id_lost_ = told.error().message;
    parts_.changed();
    co_return;
  }
  if (!told) {
    parts_.log.warning("reporting this instance: " + told.error().message);
    co_return;
  }
  if (was_draining == draining_) co_return;
  parts_.log.info(draining_ ? "draining: this instance neither leads nor starts runs"
                            : "no longer draining");
  parts_.changed();
}

// Whoever took the id entered after this instance. A row of an earlier one is the past, which a
// database brings back that failed over to a server without the last commits.
Task<Status> Membership::enter_again(Error taken) {
  const auto row = co_await find(parts_.store, me_.id);
  if (!row) co_return std::unexpected(row.error());
  if (*row && (*row)->started_at >= me_.started_at) co_return std::unexpected(taken);
  parts_.log.warning("the store has forgotten that this instance entered: entering again");
  co_return co_await enter();
}

Task<> Membership::compare_clocks() {
  const Instant asked = parts_.clock.now();
  const auto store_now = co_await parts_.store.clock();
  const Instant answered = parts_.clock.now();
  if (!store_now) co_return;
  // The store looked at its clock at some time between question and answer.
  const Duration ahead = asked - *store_now, behind = *store_now - answered;
  const bool agrees = std::max(ahead, behind) <= kClockTolerance;
  if (agrees == clock_agrees_) co_return;
  clock_agrees_ = agrees;
  if (agrees) {
    parts_.log.info("the clocks of this host and of the store agree again");
  } else {
    parts_.log.error(fmt::format(
        "the clock of this host is {} {} the store's: nothing is planned here until they agree "
        "within {}. Let both follow the same time servers",
        format_duration(std::max(ahead, behind)), ahead > behind ? "ahead of" : "behind",
        format_duration(kClockTolerance)));
  }
  parts_.changed();
}

Task<> Membership::leave() {
  Instance row = now();
  row.ready = false;
  row.stopped = true;
  const auto said = co_await parts_.store.beat_instance(std::move(row));
  if (!said) parts_.log.warning("saying good-bye to the store: " + said.error().message);
}

}  // namespace provisioner
