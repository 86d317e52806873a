#include "tests/simulation/faults.hpp"

#include <fmt/format.h>

#include "tests/simulation/attempt.hpp"

namespace provisioner::simulation {

using namespace std::chrono_literals;

const std::vector<Faults::Kind>& Faults::kinds() {
  static const std::vector<Kind> all = {
      {"daemon killed", &Faults::kill_daemon},
      {"daemon stopped in order", &Faults::stop_daemon_in_order},
      {"daemon paused", &Faults::pause_daemon},
      {"host paused", &Faults::pause_host},
      {"host rebooted", &Faults::reboot_host},
      {"election cut off", &Faults::cut_election},
      {"store cut off", &Faults::cut_store},
      {"both cut off", &Faults::cut_both},
      {"answers of the store lost", &Faults::deafen_store},
      {"answers of the election lost", &Faults::deafen_election},
      {"store slow", &Faults::slow_store},
      {"election slow", &Faults::slow_election},
      {"store away", &Faults::store_away},
      {"election away", &Faults::election_away},
      {"leases revoked", &Faults::revoke_leases},
      {"key deleted", &Faults::delete_key},
      {"leases prolonged", &Faults::late_expiry},
      {"snapshot restored", &Faults::restore_snapshot},
      {"runner killed", &Faults::kill_runner},
      {"guard killed", &Faults::kill_guard},
      {"tofu killed", &Faults::kill_tofu},
      {"runner and daemon killed", &Faults::kill_runner_and_daemon},
      {"runner paused", &Faults::pause_runner},
      {"tofu paused", &Faults::pause_tofu},
      {"wall clock set", &Faults::jump_wall_clock},
      {"disk slow", &Faults::slow_disk},
      {"store slow and leadership lost", &Faults::brown_out},
      {"election flutters", &Faults::election_flutters},
      {"host overloaded", &Faults::overload},
  };
  return all;
}

void Faults::plan(Duration begin, Duration end, std::int64_t how_many) {
  for (std::int64_t i = 0; i < how_many; ++i) {
    Duration when = all_.world.between(begin, end);
    // The full minute is when schedules fire and most is in flight.
    if (all_.world.chance(0.4)) {
      when = std::max<Duration>(begin, std::chrono::floor<std::chrono::minutes>(when)) +
             all_.world.between(0s, 3s);
    }
    all_.world.at(when, nullptr, [this] { strike(); });
  }
  all_.world.at(all_.world.between(begin / 2, end / 2), nullptr,
                [this] { all_.election.save_snapshot(); });
}

void Faults::strike() {
  const auto& all = kinds();
  const auto& kind = all[static_cast<std::size_t>(
      all_.world.number(0, static_cast<std::int64_t>(all.size()) - 1))];
  all_.world.note(fmt::format("FAULT {}", kind.name));
  ++struck_[kind.name];
  all_.observer.fault_strikes();
  (this->*kind.strike)();
}

void Faults::heal(bool but_one) {
  all_.world.note("HEAL");
  healed_ = true;
  all_.store.away = all_.election.away = false;
  for (const auto& host : all_.hosts) {
    host->go_on();
    host->slow_disk = Host::kQuickDisk;
    host->set_wall_offset(all_.world.between(-20ms, 20ms));
  }
  for (const auto& instance : all_.instances) {
    instance->to_store = instance->to_election = Link();
    instance->start();
  }
  if (!but_one) return;
  // The leader, if there is one: that is the worst.
  ill_ = &some_instance();
  for (const auto& instance : all_.instances) {
    if (instance->fence()) ill_ = instance.get();
  }
  switch (all_.world.number(0, 3)) {
    case 0: ill_->to_store.cut = true; break;
    case 1: ill_->to_election.cut = true; break;
    case 2: ill_->kill(); break;
    default: ill_->daemon()->stop(); break;
  }
  all_.world.note(fmt::format("{} stays ill", ill_->id().value));
}

Instance& Faults::some_instance() {
  const auto most = static_cast<std::int64_t>(all_.instances.size()) - 1;
  // Whoever leads is struck more often.
  if (all_.world.chance(0.5)) {
    for (const auto& instance : all_.instances) {
      if (instance->fence()) return *instance;
    }
  }
  return *all_.instances[static_cast<std::size_t>(all_.world.number(0, most))];
}

AttemptProcesses* Faults::some_attempt() {
  std::vector<AttemptProcesses*> alive;
  for (const auto& host : all_.hosts) {
    for (const auto& attempt : host->attempts) {
      if (attempt->any_alive()) alive.push_back(attempt.get());
    }
  }
  if (alive.empty()) return nullptr;
  return alive[static_cast<std::size_t>(
      all_.world.number(0, static_cast<std::int64_t>(alive.size()) - 1))];
}

// Short ones are as likely as long ones.
Duration Faults::some_time(Duration most) {
  const Duration longest = all_.world.chance(0.5) ? most / 10 : most;
  return all_.world.between(20ms, std::max<Duration>(longest, 40ms));
}

void Faults::kill_daemon() {
  Instance& instance = some_instance();
  instance.kill();
  later(some_time(60s), [&instance] { instance.start(); });
}

void Faults::stop_daemon_in_order() {
  Instance& instance = some_instance();
  instance.begin_to_stop();
  const Duration time = all_.world.between(500ms, 3s);
  later(time, [&instance] { instance.kill(); });
  later(time + some_time(10s), [&instance] { instance.start(); });
}

void Faults::pause_daemon() {
  Instance& instance = some_instance();
  if (!instance.alive()) return;
  const auto daemon = instance.daemon()->shared_from_this();
  daemon->stop();
  later(some_time(30s), [daemon] { daemon->go_on(); });
}

void Faults::pause_host() {
  Host& host = some_host();
  host.stop();
  later(some_time(90s), [&host] { host.go_on(); });
}

void Faults::reboot_host() {
  Host& host = some_host();
  host.reboot();
  for (const auto& instance : all_.instances) {
    if (&instance->host() != &host) continue;
    instance->kill();
    later(5s + some_time(60s), [&one = *instance] { one.start(); });
  }
}

void Faults::cut_election() {
  Link& link = some_instance().to_election;
  link.cut = true;
  later(some_time(40s), [&link] { link.cut = false; });
}

void Faults::cut_store() {
  Link& link = some_instance().to_store;
  link.cut = true;
  later(some_time(90s), [&link] { link.cut = false; });
}

void Faults::cut_both() {
  Instance& instance = some_instance();
  instance.to_store.cut = instance.to_election.cut = true;
  later(some_time(90s), [&instance] { instance.to_store.cut = instance.to_election.cut = false; });
}

void Faults::deafen_store() {
  Link& link = some_instance().to_store;
  link.deaf = true;
  later(some_time(10s), [&link] { link.deaf = false; });
}

void Faults::deafen_election() {
  Link& link = some_instance().to_election;
  link.deaf = true;
  later(some_time(10s), [&link] { link.deaf = false; });
}

void Faults::slow_store() {
  Link& link = some_instance().to_store;
  link.most = all_.world.between(100ms, 4s);
  later(some_time(40s), [&link] { link.most = Link().most; });
}

void Faults::slow_election() {
  Link& link = some_instance().to_election;
  link.most = all_.world.between(100ms, 5s);
  later(some_time(40s), [&link] { link.most = Link().most; });
}

void Faults::store_away() {
  all_.store.away = true;
  later(some_time(60s), [this] { all_.store.away = false; });
}

void Faults::election_away() {
  all_.election.away = true;
  later(some_time(40s), [this] { all_.election.away = false; });
}

void Faults::revoke_leases() {
  all_.observer.election_broke_its_word();
  all_.election.revoke_all();
}

void Faults::delete_key() {
  all_.observer.election_broke_its_word();
  all_.election.delete_key();
}

void Faults::late_expiry() { all_.election.prolong_all(some_time(20s)); }

void Faults::restore_snapshot() {
  all_.observer.election_broke_its_word();
  all_.election.restore_snapshot();
}

void Faults::kill_runner() {
  if (AttemptProcesses* attempt = some_attempt()) attempt->runner().kill();
}

void Faults::kill_guard() {
  if (AttemptProcesses* attempt = some_attempt()) attempt->kill_guard();
}

void Faults::kill_tofu() {
  AttemptProcesses* attempt = some_attempt();
  if (attempt != nullptr && attempt->tofu() != nullptr) attempt->tofu()->kill();
}

void Faults::kill_runner_and_daemon() {
  kill_runner();
  kill_daemon();
}

void Faults::pause_runner() {
  AttemptProcesses* attempt = some_attempt();
  if (attempt == nullptr) return;
  const auto runner = attempt->runner().shared_from_this();
  runner->stop();
  later(some_time(90s), [runner] { runner->go_on(); });
}

void Faults::pause_tofu() {
  AttemptProcesses* attempt = some_attempt();
  if (attempt == nullptr || attempt->tofu() == nullptr) return;
  const auto tofu = attempt->tofu()->shared_from_this();
  tofu->stop();
  later(some_time(60s), [tofu] { tofu->go_on(); });
}

void Faults::jump_wall_clock() {
  Host& host = some_host();
  const Duration most = all_.world.chance(0.3) ? Duration(1h) : Duration(90s);
  host.set_wall_offset(host.wall_offset() + all_.world.between(-most, most));
  later(some_time(120s), [&host] { host.set_wall_offset(Duration(0)); });
}

Duration Faults::until_next_minute() const {
  const Duration now = all_.world.now();
  return std::chrono::ceil<std::chrono::minutes>(now) - now;
}

// Decisions and heartbeats are under way for long while somebody else takes over.
void Faults::brown_out() {
  Instance& instance = some_instance();
  const Duration minute = until_next_minute();
  strike_later(minute - 3s,
               [this, &instance] { instance.to_store.most = all_.world.between(500ms, 3s); });
  later(minute + 5s + some_time(60s), [&instance] { instance.to_store.most = Link().most; });
  strike_later(minute + all_.world.between(0s, 8s), [this, &instance] {
    switch (all_.world.number(0, 3)) {
      case 0:
        instance.to_election.cut = true;
        later(some_time(20s), [&instance] { instance.to_election.cut = false; });
        break;
      case 1: delete_key(); break;
      case 2:
        instance.to_store.cut = true;
        later(60s, [&instance] { instance.to_store.cut = false; });
        break;
      default:
        if (Process* daemon = instance.daemon()) {
          daemon->stop();
          later(all_.world.between(3s, 10s),
                [daemon = daemon->shared_from_this()] { daemon->go_on(); });
        }
    }
  });
}

// Everybody loses the leadership again before it is worth anything.
void Faults::election_flutters() {
  const Duration slow = all_.world.between(200ms, 2s);
  for (const auto& instance : all_.instances) {
    Link& link = instance->to_store;
    if (all_.world.chance(0.7)) link.most = slow;
    later(20s, [&link] { link.most = Link().most; });
  }
  Duration when(0);
  for (std::int64_t i = all_.world.number(5, 20); i > 0; --i) {
    when += all_.world.between(100ms, 1500ms);
    strike_later(when, [this] { delete_key(); });
  }
}

// Attempts take as long to begin as their leases are.
void Faults::overload() {
  Instance& instance = some_instance();
  const Duration minute = until_next_minute();
  strike_later(minute - 1s, [this, &instance] {
    instance.host().slow_disk = 60s;
    instance.to_store.most = all_.world.between(500ms, 3s);
  });
  later(minute + 80s, [&instance] {
    instance.host().slow_disk = Host::kQuickDisk;
    instance.to_store.most = Link().most;
  });
}

void Faults::slow_disk() {
  Host& host = some_host();
  host.slow_disk = all_.world.between(1s, 60s);
  later(some_time(90s), [&host] { host.slow_disk = Host::kQuickDisk; });
}

}  // namespace provisioner::simulation
