// How often somebody may ask.
#pragma once

#include <map>
#include <string>

#include "base/time.hpp"

namespace provisioner::server {

// One bucket for each key: `burst` requests at once, `per_second` of them come back. Buckets that
// are full again are forgotten, so that keys which somebody invents cost nothing for long; while
// kMostKeys are in use, all others share one.
class RateLimit {
 public:
  static constexpr std::size_t kMostKeys = 4096;

  struct Rate {
    double per_second = 1;
    double burst = 1;
  };
  explicit RateLimit(Rate rate) : rate_(rate) {}

  // Takes one; false when there is none.
  bool take(const std::string& key, BootInstant now);
  // Whether take() would succeed; takes nothing.
  bool has(const std::string& key, BootInstant now) const;

 private:
  struct Bucket {
    double left = 0;
    BootInstant at;
  };
  double left_in(const Bucket& bucket, BootInstant now) const;
  void forget_full(BootInstant now);

  Rate rate_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace provisioner::server
