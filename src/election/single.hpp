// The election of the embedded default: one instance, which always wins.
#pragma once

#include "election/election.hpp"
#include "runtime/clock.hpp"

namespace provisioner {

// The store's directory lock keeps a second daemon away, so nobody can contradict. The lease is
// long but finite: a daemon that slept through it (a suspended laptop, SIGSTOP) claims a new term.
class SingleElection final : public Election {
 public:
  static constexpr ElectionTiming kTiming{.ttl = std::chrono::seconds(60),
                                          .renew = std::chrono::seconds(15),
                                          .margin = std::chrono::milliseconds(500)};

  SingleElection(const Clock& clock, InstanceId me, ElectionTiming timing = kTiming)
      : clock_(clock), me_(std::move(me)), timing_(timing) {}

  Task<Result<BootInstant>> campaign() override;
  Task<Result<BootInstant>> renew() override;
  Task<> resign() override;
  Task<Result<ElectionView>> observe() override;
  Task<Status> release(std::string token) override;
  ElectionTiming timing() const override { return timing_; }
  std::string describe() const override { return "single"; }

 private:
  BootInstant deadline_from_now() const;

  const Clock& clock_;
  InstanceId me_;
  ElectionTiming timing_;
  bool in_session_ = false;
  BootInstant deadline_{};
};

}  // namespace provisioner
