// How long to wait before the next try.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/time.hpp"
#include "runtime/random.hpp"

namespace provisioner {

// `delay`, a quarter longer or shorter at most, so that those who failed together do not come back
// together.
inline Duration with_jitter(Duration delay, Random& random) {
  const double jitter = 0.75 + 0.5 * random.fraction();
  return Duration(static_cast<Duration::rep>(static_cast<double>(delay.count()) * jitter));
}

// Doubling delays from `first` up to `most`, with jitter. Loop only.
class Backoff {
 public:
  Backoff(Duration first, Duration most) : first_(first), most_(most), next_(first) {}

  Duration next(Random& random) {
    const Duration delay = with_jitter(next_, random);
    next_ = std::min(most_, next_ * 2);
    return delay;
  }

  void reset() { next_ = first_; }

 private:
  Duration first_, most_, next_;
};

// The same delays for who counts the retries elsewhere, and ends them.
struct RetryPolicy {
  std::int64_t max_retries = 3;
  Duration base_delay = std::chrono::seconds(1);
  Duration max_delay = std::chrono::seconds(30);  // before the jitter

  // How long to wait after the failure that `retries` retries preceded; nullopt: that was the last.
  std::optional<Duration> delay(std::int64_t retries, Random& random) const {
    if (retries >= max_retries) return std::nullopt;
    Duration next = std::min(base_delay, max_delay);
    for (std::int64_t i = 0; i < retries && next < max_delay; ++i) {
      next = std::min(next * 2, max_delay);
    }
    return with_jitter(next, random);
  }
};

}  // namespace provisioner
