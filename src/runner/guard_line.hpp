// What the runner tells its guard: fixed-size records over a SOCK_SEQPACKET pair. The guard says
// nothing; its end closes when it dies.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.hpp"

namespace provisioner::runner {

struct GuardRecord {
  enum class Kind : std::int64_t {
    kDeadline = 1,       // microseconds of CLOCK_BOOTTIME: nothing may live after it
    kStopAllowance = 2,  // microseconds
    kStopping = 3,       // the runner stops tofu by itself
    kFinished = 4,       // the result is reported, or nobody wants it: end what is left
  };
  Kind kind = Kind::kDeadline;
  std::int64_t value = 0;
};

// False when the guard is gone. Never blocks: a guard that does not read (stopped) loses records,
// and with them at worst the extension of its deadline.
bool tell_guard(int line, GuardRecord record);

// The next record; absent when none waits. `closed` becomes true when the runner's end is closed.
std::optional<GuardRecord> hear_runner(int line, bool& closed);

}  // namespace provisioner::runner
