// How long to wait before the next try.
#pragma once

#include <algorithm>

#include "base/time.hpp"
#include "runtime/random.hpp"

namespace provisioner {

// Doubling delays from `first` up to `most`, each with a jitter of a quarter in both directions, so
// that those who failed together do not come back together. Loop only.
class Backoff {
 public:
  Backoff(Duration first, Duration most) : first_(first), most_(most), next_(first) {}

  Duration next(Random& random) {
    const double jitter = 0.75 + 0.5 * random.fraction();
    const Duration delay(static_cast<Duration::rep>(static_cast<double>(next_.count()) * jitter));
    next_ = std::min(most_, next_ * 2);
    return delay;
  }

  void reset() { next_ = first_; }

 private:
  Duration first_, most_, next_;
};

}  // namespace provisioner
