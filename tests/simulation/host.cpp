#include "tests/simulation/host.hpp"

#include <fmt/format.h>

#include "tests/simulation/attempt.hpp"

namespace provisioner::simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kMillion = 1'000'000;
constexpr std::int64_t kMostDrift = 500;  // parts in a million: a poor quartz

}  // namespace

Host::Host(World& world, std::string name)
    : world_(world),
      name_(std::move(name)),
      boot_offset_(world.between(1h, 1000h)),
      drift_ppm_(world.number(-kMostDrift, kMostDrift)),
      wall_offset_(world.between(-20ms, 20ms)) {}

Host::~Host() = default;

BootInstant Host::boot_now() const {
  const Duration now = world_.now();
  return BootInstant(boot_offset_ + now + Duration(now.count() * drift_ppm_ / kMillion));
}

Duration Host::true_time_of(BootInstant at) const {
  const Duration since = std::min<Duration>(at.time_since_epoch() - boot_offset_, 1000h);
  Duration when(since.count() * kMillion / (kMillion + drift_ppm_));
  // Rounding must not wake anybody too early.
  while (since < 1000h && boot_offset_ + when + Duration(when.count() * drift_ppm_ / kMillion) <
                              at.time_since_epoch()) {
    when += 1us;
  }
  return when;
}

Instant Host::wall_now() const {
  return kBeginning + (boot_now().time_since_epoch() - boot_offset_) + wall_offset_;
}

Duration Host::true_time_of(Instant at) const {
  return true_time_of(BootInstant(at - kBeginning - wall_offset_ + boot_offset_));
}

void Host::set_wall_offset(Duration offset) {
  wall_offset_ = offset;
  for (const auto& [key, wake] : std::exchange(wall_sleepers, {})) wake();
}

execution::Habitat Host::habitat() const {
  return {.machine_id = name_,
          .boot_id = fmt::format("{}-{}", name_, boots_),
          .pid_namespace = "pid:[1]",
          .container = false};
}

void Host::reboot() {
  for (const auto& attempt : attempts) attempt->kill_all();
  ++boots_;
  stopped_ = false;
}

void Host::stop() {
  stopped_ = true;
  for (const auto& daemon : daemons) daemon->stop();
  for (const auto& attempt : attempts) attempt->stop_all();
}

void Host::go_on() {
  stopped_ = false;
  for (const auto& attempt : attempts) attempt->go_on_all();
  for (const auto& daemon : daemons) daemon->go_on();
}

AttemptProcesses* Host::find(const RunId& run, Attempt number) {
  for (const auto& attempt : attempts) {
    if (attempt->fence().run == run && attempt->fence().attempt == number) return attempt.get();
  }
  return nullptr;
}

AttemptProcesses* Host::find_guard(std::int64_t pid, std::optional<std::int64_t> start) {
  for (const auto& attempt : attempts) {
    if (attempt->guard_pid() != pid || !attempt->guard().alive()) continue;
    if (!start || attempt->guard_start() == *start) return attempt.get();
  }
  return nullptr;
}

Task<> HostClock::sleep_until(BootInstant deadline) {
  if (deadline <= host_.boot_now()) co_return;
  World& world = host_.world();
  const auto over = std::make_shared<Answer<bool>>(world);
  const auto timer = world.at(host_.true_time_of(deadline), who_, [over] { over->set(true); });
  co_await Answer<bool>::wait(over);
  world.cancel(timer);
}

Task<> HostClock::sleep_until_wall(Instant at) {
  if (at <= host_.wall_now()) co_return;
  World& world = host_.world();
  Host& host = host_;
  const auto over = std::make_shared<Answer<bool>>(world);
  const auto timer = world.at(host.true_time_of(at), who_, [over] { over->set(true); });
  const auto key = host.next_sleeper++;
  host.wall_sleepers.emplace(key, [&world, who = who_, over] {
    world.after(Duration(0), who, [over] { over->set(true); });
  });
  co_await Answer<bool>::wait(over);
  host.wall_sleepers.erase(key);
  world.cancel(timer);
}

}  // namespace provisioner::simulation
