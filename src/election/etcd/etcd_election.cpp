#include "election/etcd/etcd_election.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "runtime/first_of.hpp"

namespace provisioner {
namespace {

using etcd::Member;
using Json = nlohmann::json;

constexpr std::string_view kTokenKind = "etcd";

std::string with_slash(std::string prefix) {
  if (!prefix.ends_with('/')) prefix += '/';
  return prefix;
}

bool is_nobody_answering(ErrorKind kind) {
  return kind == ErrorKind::kAmbiguous || kind == ErrorKind::kTimeout ||
         kind == ErrorKind::kUnavailable;
}

std::optional<std::int64_t> read_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

EtcdElection::EtcdElection(const boost::asio::any_io_executor& loop, Clock& clock, Random& random,
                           EtcdSettings settings, ElectionTiming timing, InstanceId me,
                           Incarnation incarnation)
    : clock_(clock),
      random_(random),
      settings_(std::move(settings)),
      timing_(timing),
      me_(std::move(me)),
      incarnation_(std::move(incarnation)),
      members_(loop, clock, settings_),
      watched_(loop, clock, settings_),
      observed_(loop, clock, settings_),
      hint_(loop) {
  settings_.prefix = with_slash(settings_.prefix);
}

EtcdElection::~EtcdElection() = default;

std::string EtcdElection::describe() const {
  std::vector<std::string> urls;
  for (const auto& endpoint : settings_.endpoints) urls.push_back(endpoint.to_string());
  return "etcd " + join(urls, ",");
}

Task<Result<BootInstant>> EtcdElection::campaign() {
  co_await resign();  // of a session that was lost, or won and not given up
  if (const Status opened = co_await open_session(); !opened) {
    co_return fail("opening a session in etcd", opened.error());
  }
  Result<BootInstant> won = fail(ErrorKind::kCancelled, "stopped while queueing");
  co_await first_of(queue(won), watch_queue());
  co_return won;
}

// The lease's id is chosen here, so that a lost answer leaves nothing behind that nobody knows of.
Task<Status> EtcdElection::open_session() {
  Session session;
  session.lease = static_cast<std::int64_t>(random_.number() >> 1) | 1;
  session.key = fmt::format("{}{:x}", settings_.prefix, session.lease);
  session_ = session;
  const std::string value =
      Json{{"instance", me_.value}, {"incarnation", incarnation_.value}}.dump();
  const Duration asked = timing_.ttl;
  const BootInstant sent = clock_.boot_now();
  // The patience of a whole ttl: a disk may be slow, and what comes too late is noticed.
  const auto granted = co_await members_.ask<Duration>(
      asked, [&](Member& member, BootInstant until) -> Task<Result<Duration>> {
        const auto ttl = co_await member.grant(session.lease, asked, until);
        if (!ttl) co_return ttl;
        if (const Status in = co_await member.enter(session.key, value, session.lease, until);
            !in) {
          Error error = in.error();
          // Granted, but expired meanwhile: as good as no answer.
          if (error.kind == ErrorKind::kNotFound) error.kind = ErrorKind::kUnavailable;
          co_return std::unexpected(std::move(error));
        }
        co_return ttl;
      });
  if (!granted) co_return std::unexpected(granted.error());
  timing_.ttl = *granted;
  session_->deadline = sent + timing_.ttl - timing_.margin;
  co_return Status();
}

Task<Result<EtcdElection::Look>> EtcdElection::look(bool prolong) {
  const Session session = *session_;
  Result<Look> seen = co_await members_.ask<Look>(
      timing_.request, [&](Member& member, BootInstant until) -> Task<Result<Look>> {
        // One member for both: a member that was cut off may still say that it prolonged a lease,
        // but it cannot make the transaction.
        BootInstant deadline = session.deadline;
        if (prolong) {
          const BootInstant sent = clock_.boot_now();
          const auto ttl = co_await member.keep_alive(session.lease, until);
          if (!ttl) co_return std::unexpected(ttl.error());
          deadline = sent + *ttl - timing_.margin;
        }
        auto standing =
            co_await member.standing(settings_.prefix, session.key, session.lease, until);
        if (!standing) co_return std::unexpected(standing.error());
        co_return Look{.deadline = deadline, .standing = std::move(*standing)};
      });
  if (!seen) {
    if (seen.error().kind == ErrorKind::kNotFound) seen.error().kind = ErrorKind::kFenced;
    co_return seen;
  }
  if (!seen->standing.own) {
    co_return fail(ErrorKind::kFenced, "our key is no longer in etcd: deleted, or its lease ended");
  }
  if (clock_.boot_now() >= seen->deadline) {
    co_return fail(ErrorKind::kTimeout, "etcd's answer came when the lease could have ended");
  }
  if (!session_) co_return fail(ErrorKind::kCancelled, "resigned meanwhile");
  session_->deadline = seen->deadline;
  if (session_->create_revision != seen->standing.own->create_revision) {
    session_->create_revision = seen->standing.own->create_revision;
    tell_release_token(fmt::format("{} {} {} {}", kTokenKind, session_->key,
                                   session_->create_revision, session_->lease));
  }
  co_return seen;
}

Task<> EtcdElection::queue(Result<BootInstant>& won) {
  BootInstant next_renewal = clock_.boot_now() + timing_.renew;
  while (true) {
    // When somebody leaves, only the question who is first now stands between us and the lead.
    const bool prolong = clock_.boot_now() >= next_renewal;
    if (prolong) next_renewal = clock_.boot_now() + timing_.renew;
    const auto seen = co_await look(prolong);
    if (seen && seen->standing.first && seen->standing.first->key == session_->key) {
      session_->won = true;
      won = seen->deadline;
      co_return;
    }
    if (!seen && !is_nobody_answering(seen.error().kind)) {
      won = fail("queueing in etcd", seen.error());
      co_return;
    }
    if (clock_.boot_now() >= session_->deadline) {
      won =
          fail(ErrorKind::kUnavailable, fmt::format("the session ended while it queued in etcd: {}",
                                                    seen ? "paused" : seen.error().message));
      co_return;
    }
    co_await hint_.wait_until(clock_, std::min(next_renewal, session_->deadline));
  }
}

Task<> EtcdElection::watch_queue() {
  while (true) {
    // What ended the watch is the same trouble that the queue meets and reports.
    (void)co_await watched_.preferred().watch(settings_.prefix, clock_.boot_now() + timing_.request,
                                              [this] { hint_.notify(); });
    watched_.prefer_another();
    co_await clock_.sleep_for(timing_.renew);
  }
}

Task<Result<BootInstant>> EtcdElection::renew() {
  if (!session_ || !session_->won) {
    co_return fail(ErrorKind::kFenced, "there is no session to renew: campaign first");
  }
  if (clock_.boot_now() >= session_->deadline) {
    co_return fail(ErrorKind::kFenced, "the session ended before it was renewed");
  }
  const auto seen = co_await look(true);
  if (!seen) {
    Error error = seen.error();
    if (is_nobody_answering(error.kind)) error.kind = ErrorKind::kUnavailable;
    co_return std::unexpected(std::move(error));
  }
  if (!seen->standing.first || seen->standing.first->key != session_->key) {
    co_return fail(ErrorKind::kFenced, "our key is no longer the first in etcd");
  }
  co_return seen->deadline;
}

Task<> EtcdElection::resign() {
  if (!session_) co_return;
  const Session session = *std::exchange(session_, std::nullopt);
  // Best effort: the lease ends by itself.
  (void)co_await give_up(session);
  tell_release_token("");
}

Task<Status> EtcdElection::give_up(Session session) {
  // Status has no value to carry through ask().
  const auto done = co_await members_.ask<bool>(
      timing_.request, [&](Member& member, BootInstant until) -> Task<Result<bool>> {
        if (session.create_revision != 0) {
          const Status removed =
              co_await member.remove(session.key, session.create_revision, until);
          if (!removed) co_return std::unexpected(removed.error());
        }
        const Status revoked = co_await member.revoke(session.lease, until);
        if (!revoked) co_return std::unexpected(revoked.error());
        co_return true;
      });
  if (!done) co_return std::unexpected(done.error());
  co_return Status();
}

Task<Status> EtcdElection::release(std::string token) {
  const auto words = split(token, ' ');
  const auto revision = words.size() == 4 ? read_number(words[2]) : std::nullopt;
  const auto lease = words.size() == 4 ? read_number(words[3]) : std::nullopt;
  if (words.size() != 4 || words[0] != kTokenKind || !revision || !lease) {
    co_return fail(ErrorKind::kInvalid, fmt::format("\"{}\" is no release token of etcd", token));
  }
  const Status released = co_await give_up(
      Session{.lease = *lease, .key = std::string(words[1]), .create_revision = *revision});
  if (!released) co_return fail("releasing the leadership in etcd", released.error());
  co_return Status();
}

Task<Result<ElectionView>> EtcdElection::observe() {
  if (observing_) co_return fail(ErrorKind::kUnavailable, "etcd is being asked already");
  struct Busy {
    bool& flag;
    explicit Busy(bool& f) : flag(f) { flag = true; }
    ~Busy() { flag = false; }
  } busy(observing_);
  co_return co_await observed_.ask<ElectionView>(
      timing_.request, [&](Member& member, BootInstant until) -> Task<Result<ElectionView>> {
        // A key that is nobody's, for the question who is first.
        const auto standing =
            co_await member.standing(settings_.prefix, settings_.prefix + "-", 0, until);
        if (!standing) co_return std::unexpected(standing.error());
        ElectionView view;
        if (!standing->first) co_return view;
        const Json value = Json::parse(standing->first->value, nullptr, false);
        view.leader = InstanceId(value.is_object() ? value.value("instance", "?") : "?");
        const auto left = co_await member.time_left(standing->first->lease, until);
        if (left) view.lease_left = *left;
        co_return view;
      });
}

}  // namespace provisioner
