#include "tests/simulation/election.hpp"

#include "tests/simulation/mutation.hpp"

namespace provisioner::simulation {

using namespace std::chrono_literals;

void ElectionServer::expire() {
  std::erase_if(leases_, [&](const auto& lease) { return lease.second.second <= world_.now(); });
  if (key_ && !leases_.contains(key_->owner)) key_.reset();
}

void ElectionServer::others_write() {
  constexpr std::int64_t kPerSecond = 20;
  revision_ += (world_.now() - last_write_).count() * kPerSecond / 1'000'000;
  last_write_ = world_.now();
}

Result<ElectionServer::Session> ElectionServer::grant(Duration ttl) {
  if (away) return fail(ErrorKind::kUnavailable, "no quorum");
  expire();
  leases_[++last_session_] = {ttl, world_.now() + ttl};
  return last_session_;
}

Result<bool> ElectionServer::acquire(Session session) {
  if (away) return fail(ErrorKind::kUnavailable, "no quorum");
  expire();
  const auto lease = leases_.find(session);
  if (lease == leases_.end()) return fail(ErrorKind::kFenced, "the lease has ended");
  lease->second.second = std::max(lease->second.second, world_.now() + lease->second.first);
  others_write();
  if (!key_) key_ = Key{session, ++revision_};
  return key_->owner == session;
}

Result<bool> ElectionServer::prove(Session session) {
  if (away) return fail(ErrorKind::kUnavailable, "no quorum");
  expire();
  const auto lease = leases_.find(session);
  if (lease == leases_.end() || !key_ || key_->owner != session) {
    return fail(ErrorKind::kFenced, "lease or key are gone");
  }
  lease->second.second = std::max(lease->second.second, world_.now() + lease->second.first);
  return true;
}

Result<bool> ElectionServer::resign(Session session) {
  if (away) return fail(ErrorKind::kUnavailable, "no quorum");
  leases_.erase(session);
  expire();
  return true;
}

void ElectionServer::delete_key() { key_.reset(); }

void ElectionServer::revoke_all() {
  leases_.clear();
  key_.reset();
}

void ElectionServer::prolong_all(Duration time) {
  for (auto& [session, lease] : leases_) lease.second += time;
}

void ElectionServer::save_snapshot() {
  expire();
  others_write();
  snapshot_ = State{key_, leases_, revision_};
}

void ElectionServer::restore_snapshot() {
  if (!snapshot_) return;
  key_ = snapshot_->key;
  leases_ = snapshot_->leases;
  revision_ = snapshot_->revision;
  for (auto& [session, lease] : leases_) lease.second = world_.now() + lease.first;
}

BootInstant SimulatedElection::deadline_of(BootInstant sent) const {
  return sent + parts_.timing.ttl - parts_.timing.margin;
}

template <typename T>
Task<Result<T>> SimulatedElection::ask(std::function<Result<T>()> at_server) {
  co_return co_await ask_server<T>(parts_.world, parts_.link, parts_.daemon, parts_.timing.ttl,
                                   ErrorKind::kUnavailable, std::move(at_server));
}

Task<Result<BootInstant>> SimulatedElection::campaign() {
  session_.reset();
  const auto granted = co_await ask<ElectionServer::Session>(
      [&server = parts_.server, ttl = parts_.timing.ttl] { return server.grant(ttl); });
  if (!granted) co_return std::unexpected(granted.error());
  session_ = *granted;
  while (true) {
    const BootInstant sent = clock_.boot_now();
    const auto won = co_await ask<bool>([&world = parts_.world, &server = parts_.server,
                                         &observer = parts_.observer, session = *session_,
                                         me = parts_.me, until = deadline_of(sent)] {
      auto answer = server.acquire(session);
      if (answer && *answer) observer.proved(me, until, world.now());
      return answer;
    });
    if (!won && won.error().kind == ErrorKind::kFenced && !mutated(Mutation::kLostSessionWaits)) {
      co_return std::unexpected(won.error());
    }
    if (won && *won) {
      co_return mutated(Mutation::kDeadlineFromAnswer) ? deadline_of(clock_.boot_now())
                                                       : deadline_of(sent);
    }
    co_await clock_.sleep_for(parts_.timing.renew);
  }
}

Task<Result<BootInstant>> SimulatedElection::renew() {
  if (!session_) co_return fail(ErrorKind::kFenced, "there is no session");
  const BootInstant sent = clock_.boot_now();
  const auto proved = co_await ask<bool>([&world = parts_.world, &server = parts_.server,
                                          &observer = parts_.observer, session = *session_,
                                          me = parts_.me, until = deadline_of(sent)] {
    auto answer = server.prove(session);
    if (answer) observer.proved(me, until, world.now());
    return answer;
  });
  if (proved) {
    co_return mutated(Mutation::kDeadlineFromAnswer) ? deadline_of(clock_.boot_now())
                                                     : deadline_of(sent);
  }
  // The last that was heard is that we lead: no other name has appeared.
  if (mutated(Mutation::kObservedLeader)) co_return deadline_of(clock_.boot_now());
  if (proved.error().kind == ErrorKind::kFenced) co_return std::unexpected(proved.error());
  co_return fail(ErrorKind::kUnavailable, proved.error().message);
}

Task<> SimulatedElection::resign() {
  if (!session_) co_return;
  const auto session = *session_;
  session_.reset();
  // Best effort: the lease ends by itself.
  co_await ask<bool>([&server = parts_.server, session] { return server.resign(session); });
}

}  // namespace provisioner::simulation
