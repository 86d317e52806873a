#include "store/postgres/notifications.hpp"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "runtime/backoff.hpp"

namespace provisioner::postgres {
namespace {

constexpr Duration kLookEvery = std::chrono::seconds(1);
constexpr Duration kPatience = std::chrono::seconds(10);

// Rows that transactions from $1 on wrote, each with the last one, and with its workspace where
// that is not the key.
struct Look {
  Change::Topic topic;
  const char* sql;
};
constexpr std::array<Look, 6> kLooks = {{
    {Change::Topic::kWorkspace,
     "SELECT name, changed::text FROM workspace_states WHERE changed >= $1::text::xid8"},
    {Change::Topic::kRun,
     "SELECT id, changed::text, workspace FROM runs WHERE changed >= $1::text::xid8"},
    {Change::Topic::kCancel,
     "SELECT id, changed::text, workspace FROM runs WHERE changed >= $1::text::xid8 AND "
     "cancel_requested AND status = 'running'"},
    {Change::Topic::kLog,
     "SELECT run, max(changed::text::bigint)::text FROM run_logs WHERE changed >= $1::text::xid8 "
     "GROUP BY run"},
    {Change::Topic::kLeadership,
     "SELECT leader_id, changed::text FROM leader_election WHERE id = 'scheduler' AND changed >= "
     "$1::text::xid8"},
    {Change::Topic::kTemplate,
     "SELECT name, changed::text FROM templates WHERE changed >= $1::text::xid8"},
}};

}  // namespace

Store::Subscription Notifications::subscribe(std::function<void(const Change&)> on_change) {
  if (!std::exchange(listening_, true)) {
    boost::asio::co_spawn(
        pool_->loop(), [self = shared_from_this()]() -> Task<> { co_await self->listen(); },
        boost::asio::detached);
  }
  return subscribers_->add(std::move(on_change));
}

void Notifications::tell(Announcement announcement) {
  announcement.changes = each_once(std::move(announcement.changes));
  outbox_.push_back(announcement);
  boost::asio::post(pool_->loop(),
                    [self = shared_from_this(), announcement = std::move(announcement)] {
                      self->tell_subscribers(announcement);
                    });
  if (std::exchange(sending_, true)) return;
  boost::asio::co_spawn(
      pool_->loop(), [self = shared_from_this()]() -> Task<> { co_await self->send_outbox(); },
      boost::asio::detached);
}

void Notifications::tell_subscribers(const Announcement& announcement) {
  if (!listening_) return;  // nobody ever subscribed
  std::vector<Change> news;
  for (const Change& change : announcement.changes) {
    if (told_.note(announcement.xid, change)) news.push_back(change);
  }
  subscribers_->tell(news);
}

Task<> Notifications::send_outbox() {
  while (!outbox_.empty() && !pool_->closed()) {
    const auto payloads = to_payloads(pool_->session(), std::exchange(outbox_, {}));
    if (payloads.empty()) continue;
    std::vector<Query> queries;
    for (const std::string& payload : payloads) {
      queries.emplace_back("SELECT pg_notify('provisioner', $1)", payload);
    }
    try {
      const BootInstant deadline = pool_->clock().boot_now() + kPatience;
      auto lease = co_await pool_->acquire(deadline);
      ++pool_->counters().notifications;
      co_await lease->round_trip(queries, deadline);
    } catch (const SqlError&) {
      // A hint to look sooner is lost: the others look within a second.
    }
  }
  sending_ = false;
  all_sent_.notify();
}

Task<> Notifications::delivered() {
  const BootInstant enough = pool_->clock().boot_now() + std::chrono::seconds(2);
  while (sending_ && pool_->clock().boot_now() < enough) {
    co_await all_sent_.wait_until(pool_->clock(), enough);
  }
}

Task<> Notifications::listen() {
  SystemRandom random;
  Backoff backoff(std::chrono::milliseconds(100), kLookEvery);
  while (!pool_->closed()) {
    try {
      const auto lease = co_await pool_->open_extra(pool_->clock().boot_now() + kPatience);
      backoff.reset();
      co_await listen_on(*lease);
    } catch (const SqlError&) {
      // Calls say what is wrong with the database; nothing can be heard meanwhile.
    }
    if (pool_->closed()) break;
    co_await pool_->clock().sleep_for(backoff.next(random));
  }
}

Task<> Notifications::listen_on(Connection& connection) {
  Clock& clock = pool_->clock();
  const Query begin("LISTEN provisioner");
  co_await connection.round_trip({&begin, 1}, clock.boot_now() + kPatience);
  for (;;) {
    co_await look(connection);
    const BootInstant next_look = clock.boot_now() + kLookEvery;
    while (clock.boot_now() < next_look) {
      for (const Notification& heard : co_await connection.notifications(next_look)) {
        const auto announcements = from_payload(heard.payload, pool_->session());
        if (!announcements) continue;
        for (const Announcement& announcement : *announcements) tell_subscribers(announcement);
      }
    }
  }
}

Task<> Notifications::look(Connection& connection) {
  // Transactions before the oldest that is still in progress are all visible. (The first look only
  // finds out where to begin.)
  const Query boundary("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint");
  const std::string from = std::to_string(seen_all_before_);
  std::vector<Query> queries{boundary};
  if (seen_all_before_ != 0) {
    for (const Look& one : kLooks) queries.emplace_back(one.sql, from);
  }
  const auto answers =
      co_await connection.round_trip(queries, pool_->clock().boot_now() + kPatience);
  for (std::size_t i = 1; i < answers.size(); ++i) {
    for (Row row : answers[i]) {
      Change change{.topic = kLooks[i - 1].topic, .key = row.text()};
      const std::uint64_t xid = std::stoull(row.text());
      if (change.topic == Change::Topic::kRun || change.topic == Change::Topic::kCancel) {
        change.workspace = row.text();
      }
      tell_subscribers({.xid = xid, .changes = {std::move(change)}});
    }
  }
  seen_all_before_ = static_cast<std::uint64_t>(answers.at(0)[0].integer());
  told_.forget_before(seen_all_before_);
}

}  // namespace provisioner::postgres
