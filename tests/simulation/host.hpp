// A machine: its clocks, its disk, and the attempts that live on it.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "execution/launcher.hpp"
#include "runtime/clock.hpp"
#include "tests/simulation/world.hpp"

namespace provisioner::simulation {

class AttemptProcesses;

// What a right wall clock shows when a simulation begins: 2026-03-02T07:00:00Z.
inline constexpr Instant kBeginning{std::chrono::microseconds(1'772'434'800'000'000)};

// What an attempt's directory holds.
struct AttemptFiles {
  std::optional<execution::AttemptNote> note;
  std::map<std::int64_t, std::string> spooled;  // states that were not acknowledged, by number
  std::optional<std::string> errored;           // tofu's errored.tfstate
  std::string exit_cause;                       // of the guard
};

class Host {
 public:
  Host(World& world, std::string name);
  ~Host();

  const std::string& name() const { return name_; }
  World& world() { return world_; }

  // CLOCK_BOOTTIME runs a little too fast or too slow, and never jumps.
  BootInstant boot_now() const;
  Duration true_time_of(BootInstant at) const;
  Instant wall_now() const;
  Duration true_time_of(Instant at) const;
  void set_wall_offset(Duration offset);
  Duration wall_offset() const { return wall_offset_; }

  execution::Habitat habitat() const;
  // Every process dies; the disk stays.
  void reboot();

  // SIGSTOP and SIGCONT for everything, as when the virtual machine is paused.
  void stop();
  void go_on();
  bool stopped() const { return stopped_; }

  std::int64_t next_pid() { return ++last_pid_; }
  AttemptProcesses* find(const RunId& run, Attempt attempt);
  AttemptProcesses* find_guard(std::int64_t pid, std::optional<std::int64_t> start);

  // How long the disk takes at most to prepare an attempt.
  static constexpr Duration kQuickDisk = std::chrono::milliseconds(20);
  Duration slow_disk = kQuickDisk;

  // Everybody who sleeps until the wall clock shows something.
  std::map<std::uint64_t, std::function<void()>> wall_sleepers;
  std::uint64_t next_sleeper = 0;

  std::map<std::string, AttemptFiles> directories;  // by path
  std::map<std::string, AttemptFiles> kept;         // moved aside for a person
  std::list<std::unique_ptr<AttemptProcesses>> attempts;
  std::vector<ProcessPtr> daemons;

 private:
  World& world_;
  std::string name_;
  Duration boot_offset_;
  std::int64_t drift_ppm_;
  Duration wall_offset_{0};
  std::int64_t boots_ = 1;
  bool stopped_ = false;
  std::int64_t last_pid_ = 0;
};

// The host's clocks as one process reads them.
class HostClock final : public Clock {
 public:
  HostClock(Host& host, ProcessPtr who) : host_(host), who_(std::move(who)) {}

  Instant now() const override { return host_.wall_now(); }
  BootInstant boot_now() const override { return host_.boot_now(); }
  Task<> sleep_until(BootInstant deadline) override;
  Task<> sleep_until_wall(Instant at) override;

 private:
  Host& host_;
  ProcessPtr who_;
};

}  // namespace provisioner::simulation
