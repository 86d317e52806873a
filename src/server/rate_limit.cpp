#include "server/rate_limit.hpp"

#include <algorithm>

namespace provisioner::server {
namespace {

const std::string kEverybodyElse;

}  // namespace

double RateLimit::left_in(const Bucket& bucket, BootInstant now) const {
  const double seconds = std::chrono::duration<double>(now - bucket.at).count();
  return std::min(rate_.burst, bucket.left + seconds * rate_.per_second);
}

void RateLimit::forget_full(BootInstant now) {
  std::erase_if(buckets_,
                [&](const auto& entry) { return left_in(entry.second, now) >= rate_.burst; });
}

bool RateLimit::take(const std::string& key, BootInstant now) {
  auto it = buckets_.find(key);
  if (it == buckets_.end()) {
    if (buckets_.size() >= kMostKeys) forget_full(now);
    const bool crowded = buckets_.size() >= kMostKeys;
    it = buckets_.try_emplace(crowded ? kEverybodyElse : key, Bucket{rate_.burst, now}).first;
  }
  Bucket& bucket = it->second;
  bucket = {left_in(bucket, now), now};
  if (bucket.left < 1) return false;
  bucket.left -= 1;
  return true;
}

bool RateLimit::has(const std::string& key, BootInstant now) const {
  auto it = buckets_.find(key);
  if (it == buckets_.end() && buckets_.size() >= kMostKeys) it = buckets_.find(kEverybodyElse);
  return it == buckets_.end() || left_in(it->second, now) >= 1;
}

}  // namespace provisioner::server
