// Sees everything and believes nobody: checks the invariants I1..I8 on every step, from what
// servers committed and what processes did, not from what the code under test says of itself.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/store.hpp"
#include "tests/simulation/host.hpp"
#include "tests/simulation/world.hpp"

namespace provisioner::simulation {

struct Violation {
  std::string invariant;  // "I2"
  std::string sentence;
};

struct Figures {
  std::int64_t faults = 0;
  std::int64_t runs = 0;         // queued
  std::int64_t attempts = 0;     // claimed
  std::int64_t in_flight = 0;    // attempts that were running when a fault struck
  std::int64_t interrupted = 0;  // attempts that were ended for their runner
  std::int64_t terms = 0;
  std::int64_t occurrences = 0;
  std::int64_t states = 0;  // state versions
};

class Observer {
 public:
  Observer(World& world, Duration lease, Duration margin)
      : world_(world), lease_(lease), margin_(margin) {}

  std::function<AttemptProcesses*(const RunId&, Attempt)> find_processes;
  std::map<InstanceId, const Host*> lives_on;

  // The first one ends the run.
  const std::optional<Violation>& violation() const { return violation_; }
  void violated(std::string invariant, std::string sentence);
  const Figures& figures() const { return figures_; }
  void fault_strikes();

  // --- leadership: what an instance may believe ---
  // A request to the election that was sent at `sent` proved or prolonged its session.
  void proved(const InstanceId& who, BootInstant permitted_until, Duration proved_at);
  // I6: it acts as the leader, or is about to ask the store for a decision.
  void believes(const InstanceId& who, BootInstant now);
  // Somebody may lead although another one has reason to believe that he does.
  void election_broke_its_word() { excused_until_ = world_.now() + std::chrono::seconds(20); }
  void leaders(const std::vector<InstanceId>& who);

  // --- what the store committed ---
  void claimed_term(const InstanceId& who, const Leadership& row);
  void resigned(const LeaderFence& fence);
  void decided(const InstanceId& who, const LeaderFence& fence, const std::string& what);
  void planned(const PlanCommit& plan);
  void enqueued(const RunId& run) { created_.emplace(run, world_.now()); }
  void claimed(const InstanceId& who, const ClaimedRun& run);
  void registered(const AttemptFence& fence);
  void beat(const AttemptFence& fence);
  void finished(const AttemptFence& fence, RunStatus status);
  void interrupted(const InstanceId& who, bool fenced, const Interruption& what,
                   const std::optional<StateVersion>& current);
  void wrote(const StateSlot& slot, const std::optional<AttemptFence>& by,
             const StateVersion& version);

  // --- what processes did ---
  void lease_granted(const AttemptFence& fence, BootInstant sent);
  void tofu_started(AttemptProcesses& attempt);
  void tofu_works(AttemptProcesses& attempt);
  // tofu handed over this state, or left it as errored.tfstate.
  void made_state(const WorkspaceName& workspace, const std::string& body);

  // --- at the end ---
  const std::map<WorkspaceName, std::set<std::string>>& states_made() const { return states_; }
  const std::map<RunId, Duration>& created() const { return created_; }

 private:
  using Key = std::pair<RunId, Attempt>;
  struct Seen {
    WorkspaceName workspace;
    InstanceId instance;
    ClaimId claim;
    bool running = true;
    bool registered = false;
    BootInstant lease_until{};
    Duration last_heard{0};
  };
  struct Lineage {
    std::string lineage;
    std::int64_t serial = 0;
    std::string sha256;
  };
  Seen* find(const AttemptFence& fence);
  void end(const Key& key);
  void follow_state(const StateSlot& slot, const StateVersion& version);

  World& world_;
  Duration lease_, margin_;
  std::optional<Violation> violation_;
  Figures figures_;

  std::map<InstanceId, BootInstant> permitted_;
  std::map<InstanceId, Duration> proved_at_;
  Duration excused_until_{0};
  LeaderFence leader_;
  Duration leader_since_{0};
  Term highest_;
  std::map<RunId, Duration> created_;
  std::map<Key, Seen> attempts_;
  std::map<WorkspaceName, Key> active_;
  std::set<std::tuple<WorkspaceName, std::string, Instant>> ledger_;
  std::set<RunId> fired_;
  std::map<WorkspaceName, Lineage> lineages_;
  std::map<WorkspaceName, std::set<std::string>> states_;
};

}  // namespace provisioner::simulation
