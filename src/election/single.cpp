#include "election/single.hpp"

namespace provisioner {

BootInstant SingleElection::deadline_from_now() const {
  return clock_.boot_now() + timing_.ttl - timing_.margin;
}

Task<Result<BootInstant>> SingleElection::campaign() {
  in_session_ = true;
  deadline_ = deadline_from_now();
  co_return deadline_;
}

Task<Result<BootInstant>> SingleElection::renew() {
  if (!in_session_) {
    co_return fail(ErrorKind::kFenced, "there is no session to renew: campaign first");
  }
  if (clock_.boot_now() >= deadline_) {
    in_session_ = false;
    co_return fail(ErrorKind::kFenced, "the session ended before it was renewed");
  }
  deadline_ = deadline_from_now();
  co_return deadline_;
}

Task<> SingleElection::resign() {
  in_session_ = false;
  co_return;
}

Task<Result<ElectionView>> SingleElection::observe() {
  const BootInstant now = clock_.boot_now();
  if (!in_session_ || now >= deadline_) co_return ElectionView{};
  co_return ElectionView{.leader = me_, .lease_left = deadline_ - now};
}

// Its sessions end with their process: there is never a token.
Task<Status> SingleElection::release(std::string) {
  co_return fail(ErrorKind::kInvalid, "a single instance has no leadership to release");
}

}  // namespace provisioner
