#include "config/settling.hpp"

#include <algorithm>

namespace provisioner {

std::vector<std::string> Settling::take_due(BootInstant now) {
  std::vector<std::string> due;
  for (auto it = last_touch_.begin(); it != last_touch_.end();) {
    if (it->second + quiet_ <= now) {
      due.push_back(it->first);
      it = last_touch_.erase(it);
    } else {
      ++it;
    }
  }
  return due;
}

std::optional<BootInstant> Settling::next_due() const {
  if (last_touch_.empty()) return std::nullopt;
  const auto first =
      std::ranges::min_element(last_touch_, {}, [](const auto& entry) { return entry.second; });
  return first->second + quiet_;
}

}  // namespace provisioner
