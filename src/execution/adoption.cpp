#include "execution/adoption.hpp"

#include <fmt/format.h>

namespace provisioner::execution {
namespace {

// Why a look at our processes proves nothing about the attempt's; "" when it does.
std::string foreign_because(const ProcessIdentity& there, const Habitat& here) {
  if (there.machine_id != here.machine_id) return "it was started on another machine";
  if (there.boot_id.empty() || there.boot_id != here.boot_id)
    return "it was started in another boot";
  if (there.pid_namespace != here.pid_namespace) return "it was started in another pid namespace";
  return "";
}

// A reboot of the machine itself ends every process; a container sees the boot id of its host, and
// may have been moved to another one.
bool died_with_the_boot(const ProcessIdentity& there, const Habitat& here) {
  return !here.container && !here.machine_id.empty() && there.machine_id == here.machine_id &&
         !there.boot_id.empty() && !here.boot_id.empty() && there.boot_id != here.boot_id;
}

}  // namespace

AdoptionVerdict judge(const AttemptFacts& facts) {
  using enum AdoptionAction;
  const AttemptRow& row = facts.row;
  if (row.instance != facts.me) {
    if (!facts.lease_expired) {
      return {kWait, fmt::format("instance {} answers for it", row.instance.value)};
    }
    const std::string silence =
        fmt::format("instance {} was not heard of for its whole lease", row.instance.value);
    const bool is_near = row.process && foreign_because(*row.process, facts.here).empty();
    if (is_near) return {kEnd, silence + ", and its processes were on this machine"};
    return {kEndUnproved, silence};
  }
  if (facts.in_hand) {
    if (facts.lease_expired) return {kEnd, "its runner sent no heartbeat for the whole lease"};
    return {kWatch, "this daemon has it in hand"};
  }
  if (!row.process) {
    return {kEnd, "its processes ended before its runner had registered, if they ever began"};
  }
  if (died_with_the_boot(*row.process, facts.here)) {
    return {kEnd, "the machine was rebooted meanwhile"};
  }
  if (const std::string why = foreign_because(*row.process, facts.here); !why.empty()) {
    if (facts.lease_expired) return {kEndUnproved, why + ", and its lease has ended"};
    return {kWait, why + ": its lease decides"};
  }
  switch (facts.guard) {
    case GuardState::kAlive:
      if (facts.lease_expired) return {kEnd, "its runner sent no heartbeat for the whole lease"};
      return {kWatch, "its guard has outlived the daemon that started it"};
    case GuardState::kDead: return {kEnd, "its guard is dead"};
    case GuardState::kUnknown: break;
  }
  return {kWait, "its guard could not be looked at"};
}

}  // namespace provisioner::execution
