// Watches over the attempts of this instance: adopts those that outlived a daemon, and ends those
// whose processes have died without a word.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "execution/adoption.hpp"
#include "execution/launcher.hpp"
#include "execution/lease_observer.hpp"
#include "model/on_interrupt.hpp"
#include "runtime/clock.hpp"
#include "runtime/signal.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"

namespace provisioner::execution {

// Absent while this instance does not lead.
using CurrentFence = std::function<std::optional<LeaderFence>()>;

// Each look asks the store for the running attempts and asks judge() about each. An attempt is
// reported as interrupted only after its process set was killed and proved empty, and its directory
// swept; a directory is deleted only after that. Loop only; everything in Parts outlives it.
class Supervisor {
 public:
  struct Parts {
    boost::asio::any_io_executor loop;
    Store& store;
    Clock& clock;
    Launcher& launcher;
    Logger log;
    std::filesystem::path state_dir;
    InstanceId me;
    Duration lease;
    // How long what a dead guard left may take to stop by itself: a runner whose guard died, and
    // tofu whose runner died, interrupt themselves and write their state.
    Duration stop_allowance;
    OnInterrupt on_interrupt;
    CurrentFence current_fence;
    std::function<void()> capacity_freed;
    // An attempt was ended from here, with the sentence that the run got, too.
    std::function<void(const AttemptRow&, const std::string&)> interrupted;
  };
  explicit Supervisor(Parts parts);

  // The first look, and the sweep of directories whose attempts have ended. Before it has returned
  // nothing may be claimed. Waits for as long as the store is away.
  Task<> start();

  // Looks again whenever a guard ends, and every second. Until cancelled.
  Task<> run();

  // While one lives, an attempt without a guard may be one that the dispatcher has just claimed.
  class ClaimInHand {
   public:
    explicit ClaimInHand(Supervisor& supervisor) : count_(supervisor.claims_in_hand_) { ++count_; }
    ~ClaimInHand() { --count_; }
    ClaimInHand(const ClaimInHand&) = delete;
    ClaimInHand& operator=(const ClaimInHand&) = delete;

   private:
    int& count_;
  };

  // A guard was started for an attempt that this daemon claimed.
  Status watch(const RunId& run, Attempt attempt, const WorkspaceName& workspace, pid_t guard);

  // Asks every guard to end its attempt, which is then resumed, here or elsewhere.
  void terminate_all();

  // Attempts of this instance that occupy its capacity.
  std::size_t active() const { return guards_.size() + unwatched_; }

 private:
  using Key = std::pair<RunId, Attempt>;
  struct Guard {
    std::unique_ptr<GuardWatch> process;
    runner::AttemptDirectory directory;
    WorkspaceName workspace;
  };

  Task<bool> look();
  AdoptionVerdict judge_row(const AttemptRow& row, bool lease_expired);
  Task<bool> end(AttemptRow row, AdoptionVerdict verdict, bool lease_expired,
                 std::optional<LeaderFence> fence);
  Task<bool> is_stopping(AttemptRow row);
  Task<Status> interrupt(AttemptRow row, AdoptionVerdict verdict, std::optional<LeaderFence> fence);
  Task<> tidy(runner::AttemptDirectory directory, WorkspaceName workspace);
  Task<> sweep_orphans(std::vector<runner::AttemptDirectory> directories);
  runner::AttemptDirectory directory_of(const AttemptRow& row) const;
  LogFields fields_of(const AttemptRow& row) const;

  Parts parts_;
  Habitat here_;
  LeaseObserver leases_;
  Signal wake_;
  std::map<Key, Guard> guards_;
  std::map<Key, std::string> said_;  // the last sentence about each attempt, so that none repeats
  std::map<Key, BootInstant> patience_;  // until when what a dead guard left may stop by itself
  std::vector<Key> running_;             // of this instance, at the last look
  // Of this instance and running, but without a guard whose end would be noticed: their directories
  // are swept when the store shows them no more.
  std::map<Key, runner::AttemptDirectory> unguarded_;
  // Directories of ended attempts that could not be tidied because the store was away.
  std::vector<runner::AttemptDirectory> untidy_;
  int claims_in_hand_ = 0;
  std::size_t unwatched_ = 0;  // running here, but without a guard that could be watched
  bool store_away_ = false;
};

}  // namespace provisioner::execution
