// Those who want to hear of what was committed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "store/store.hpp"

namespace provisioner {

// Who wants to hear of changes. Lives on the loop, and longer than the store if somebody listens.
class Subscribers : public std::enable_shared_from_this<Subscribers> {
 public:
  Store::Subscription add(std::function<void(const Change&)> on_change) {
    const std::uint64_t key = next_++;
    listeners_.emplace(key, std::make_shared<Listener>(std::move(on_change)));
    return {nullptr, [self = weak_from_this(), key](void*) {
              if (auto subscribers = self.lock()) subscribers->listeners_.erase(key);
            }};
  }

  void tell(const std::vector<Change>& changes) {
    // A listener may end its own or another's subscription, or begin one.
    std::vector<std::weak_ptr<Listener>> present;
    for (const auto& [key, listener] : listeners_) present.push_back(listener);
    for (const Change& change : changes) {
      for (const auto& weak : present) {
        if (auto listener = weak.lock()) (*listener)(change);
      }
    }
  }

 private:
  using Listener = std::function<void(const Change&)>;
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Listener>> listeners_;
};

// The same change told once.
inline std::vector<Change> each_once(std::vector<Change> changes) {
  const auto by = [](const Change& c) { return std::tie(c.topic, c.key); };
  std::ranges::sort(changes, {}, by);
  const auto repeated = std::ranges::unique(
      changes, [&](const Change& a, const Change& b) { return by(a) == by(b); });
  changes.erase(repeated.begin(), repeated.end());
  return changes;
}

}  // namespace provisioner
