#include "execution/adoption.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace provisioner::execution {
namespace {

using testing::HasSubstr;

const Habitat kHere{"machine-a", "boot-1", "pid:[1]", false};

// An attempt of ours that this machine's previous daemon started and registered.
AttemptFacts registered_here() {
  AttemptFacts facts;
  facts.me = InstanceId("host-1");
  facts.here = kHere;
  facts.row.run = RunId("run-1");
  facts.row.attempt = Attempt(1);
  facts.row.instance = InstanceId("host-1");
  facts.row.process = ProcessIdentity{"machine-a", "boot-1", "pid:[1]", 4711, 99, "/work/run-1.1"};
  facts.guard = GuardState::kAlive;
  return facts;
}

struct Case {
  std::string name;
  AttemptFacts facts;
  AdoptionAction action;
  std::string reason;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

template <typename Change>
Case but(std::string name, Change change, AdoptionAction action, std::string reason) {
  AttemptFacts facts = registered_here();
  change(facts);
  return {std::move(name), facts, action, std::move(reason)};
}

class Adoption : public testing::TestWithParam<Case> {};

TEST_P(Adoption, FollowsFromTheFacts) {
  const auto verdict = judge(GetParam().facts);
  EXPECT_EQ(verdict.action, GetParam().action);
  EXPECT_THAT(verdict.reason, HasSubstr(GetParam().reason));
}

using Facts = AttemptFacts;
using enum AdoptionAction;

INSTANTIATE_TEST_SUITE_P(
    Table, Adoption,
    testing::Values(
        but(
            "guard outlived its daemon", [](Facts&) {}, kWatch, "outlived the daemon"),
        but(
            "guard died", [](Facts& f) { f.guard = GuardState::kDead; }, kEnd, "guard is dead"),
        but(
            "guard lives but the runner is silent", [](Facts& f) { f.lease_expired = true; }, kEnd,
            "no heartbeat"),
        but(
            "started by this very daemon, not yet registered",
            [](Facts& f) {
              f.in_hand = true;
              f.row.process.reset();
            },
            kWatch, "this daemon has it in hand"),
        but(
            "started by this daemon, silent for the lease",
            [](Facts& f) { f.in_hand = f.lease_expired = true; }, kEnd, "no heartbeat"),
        but(
            "claimed by a daemon that died before the runner registered",
            [](Facts& f) {
              f.row.process.reset();
              f.guard = GuardState::kUnknown;
            },
            kEnd, "before its runner had registered"),
        but(
            "the machine was rebooted", [](Facts& f) { f.row.process->boot_id = "boot-0"; }, kEnd,
            "rebooted"),
        but(
            "a container's boot id changed: it may have moved",
            [](Facts& f) {
              f.row.process->boot_id = "boot-0";
              f.here.container = true;
            },
            kWait, "another boot"),
        but(
            "another boot, and no machine id to compare",
            [](Facts& f) {
              f.row.process->boot_id = "boot-0";
              f.row.process->machine_id = f.here.machine_id = "";
            },
            kWait, "another boot"),
        but(
            "another pid namespace: a dead pid there proves nothing",
            [](Facts& f) {
              f.row.process->pid_namespace = "pid:[2]";
              f.guard = GuardState::kDead;
            },
            kWait, "another pid namespace"),
        but(
            "another pid namespace, and the lease has ended",
            [](Facts& f) {
              f.row.process->pid_namespace = "pid:[2]";
              f.lease_expired = true;
            },
            kEndUnproved, "lease has ended"),
        but(
            "another machine with the same instance id",
            [](Facts& f) {
              f.row.process->machine_id = "machine-b";
              f.guard = GuardState::kDead;
            },
            kWait, "another machine"),
        but(
            "another instance's attempt",
            [](Facts& f) {
              f.row.instance = InstanceId("host-2");
              f.guard = GuardState::kDead;
            },
            kWait, "host-2 answers for it"),
        but(
            "another instance's attempt on this machine, whose lease has ended",
            [](Facts& f) {
              f.row.instance = InstanceId("host-2");
              f.lease_expired = true;
            },
            kEnd, "on this machine"),
        but(
            "another instance's attempt elsewhere, whose lease has ended",
            [](Facts& f) {
              f.row.instance = InstanceId("host-2");
              f.row.process->machine_id = "machine-b";
              f.lease_expired = true;
            },
            kEndUnproved, "host-2 was not heard of"),
        but(
            "a guard that could not be looked at", [](Facts& f) { f.guard = GuardState::kUnknown; },
            kWait, "could not be looked at")));

}  // namespace
}  // namespace provisioner::execution
