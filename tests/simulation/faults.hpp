// What may happen to an installation, and how it ends.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/election.hpp"
#include "tests/simulation/host.hpp"
#include "tests/simulation/instance.hpp"
#include "tests/simulation/observer.hpp"
#include "tests/simulation/store.hpp"

namespace provisioner::simulation {

struct Installation {
  World& world;
  Observer& observer;
  StoreServer& store;
  ElectionServer& election;
  std::vector<std::unique_ptr<Host>>& hosts;
  std::vector<std::unique_ptr<Instance>>& instances;
};

class Faults {
 public:
  explicit Faults(Installation all) : all_(all) {}

  // Lets faults strike at drawn moments from `begin` to `end`.
  void plan(Duration begin, Duration end, std::int64_t how_many);
  // Ends all of them. With `but_one`, one instance stays ill, and the others have to do without it.
  void heal(bool but_one);

  const std::map<std::string, std::int64_t>& struck() const { return struck_; }
  Instance* ill() const { return ill_; }

 private:
  struct Kind {
    const char* name;
    void (Faults::*strike)();
  };
  static const std::vector<Kind>& kinds();

  void strike();
  Instance& some_instance();
  Host& some_host() { return some_instance().host(); }
  AttemptProcesses* some_attempt();
  Duration some_time(Duration most);
  Duration until_next_minute() const;
  void later(Duration delay, std::function<void()> act) {
    all_.world.after(delay, nullptr, std::move(act));
  }
  // Part of a fault that begins only then, so that a heal in between prevents it.
  void strike_later(Duration delay, std::function<void()> act) {
    later(delay, [this, act = std::move(act)] {
      if (!healed_) act();
    });
  }

  void kill_daemon();
  void stop_daemon_in_order();
  void pause_daemon();
  void pause_host();
  void reboot_host();
  void cut_election();
  void cut_store();
  void cut_both();
  void deafen_store();
  void deafen_election();
  void slow_store();
  void slow_election();
  void store_away();
  void election_away();
  void revoke_leases();
  void delete_key();
  void late_expiry();
  void restore_snapshot();
  void kill_runner();
  void kill_guard();
  void kill_tofu();
  void kill_runner_and_daemon();
  void pause_runner();
  void pause_tofu();
  void jump_wall_clock();
  void slow_disk();
  void brown_out();
  void election_flutters();
  void overload();

  Installation all_;
  std::map<std::string, std::int64_t> struck_;
  Instance* ill_ = nullptr;
  bool healed_ = false;
};

}  // namespace provisioner::simulation
