// What the guard decides. Pure: events and the time in, the next act out.
#pragma once

#include <string_view>

#include "base/time.hpp"

namespace provisioner::runner {

enum class GuardAct {
  kWait,        // until `until`, or until something happens
  kKillRunner,  // it hangs: its death makes the trampoline pass on the one SIGINT
  kKillAll,     // SIGKILL to every process of the attempt; then ask again
  kEnd,         // nothing lives: leave the exit record and go
};

struct GuardDecision {
  GuardAct act = GuardAct::kWait;
  BootInstant until;
};

// The deadline is the moment by which nothing of the attempt may live: the lease's end, less a
// margin. A stop begins `stop_allowance` earlier. A runner that lives stops tofu by itself, and
// says so; one that says nothing is killed soon after.
class GuardPlan {
 public:
  GuardPlan(BootInstant deadline, Duration stop_allowance)
      : deadline_(deadline), stop_allowance_(stop_allowance) {}

  // From the runner.
  void move_deadline(BootInstant deadline);  // the first one replaces ours; then never back
  void set_stop_allowance(Duration allowance) { stop_allowance_ = allowance; }
  void runner_stops() { stopping_ = true; }
  void runner_finished() { finished_ = true; }
  // From the system.
  void runner_exited(BootInstant now);

  // `others_live`: whether processes of the attempt other than guard and runner live. It is only
  // looked at once the runner has exited.
  GuardDecision decide(BootInstant now, bool others_live);

  bool runner_lives() const { return runner_lives_; }

  // How it came to the end, for the exit record: "finished", "runner died", "runner hung",
  // "deadline".
  std::string_view cause() const { return cause_; }

 private:
  BootInstant deadline_;
  Duration stop_allowance_;
  bool registered_ = false;
  bool runner_lives_ = true;
  bool stopping_ = false;
  bool finished_ = false;
  BootInstant kill_at_;  // of what the dead runner left
  std::string_view cause_;
};

}  // namespace provisioner::runner
