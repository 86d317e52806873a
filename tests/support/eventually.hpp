// Waiting for a condition with a deadline: the only way in which tests wait.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace provisioner::testing {

// True as soon as `condition` is; false when `patience` is over. Looks every few milliseconds.
inline bool eventually(std::chrono::milliseconds patience, const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace provisioner::testing
