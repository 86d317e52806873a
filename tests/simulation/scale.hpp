// How much the suites do: less where a sanitizer makes each step dearer.
#pragma once

#include <chrono>
#include <cstdint>

namespace provisioner::simulation {

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr std::uint64_t kSanitizerDivides = 6;
#else
inline constexpr std::uint64_t kSanitizerDivides = 1;
#endif

inline constexpr std::uint64_t kSeedsPerCase = 12;
inline constexpr std::chrono::seconds kFreshSeedsFor(12);

constexpr std::uint64_t scaled(std::uint64_t seeds) {
  return seeds > kSanitizerDivides ? seeds / kSanitizerDivides : 1;
}

}  // namespace provisioner::simulation
