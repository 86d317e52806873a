// Which workspace is to be looked at when. A wake-up costs O(due log n).
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace provisioner {

class Agenda {
 public:
  // Replaces what was noted for it.
  void note(const WorkspaceName& workspace, Instant at);
  void forget(const WorkspaceName& workspace);
  void clear();

  // The earliest note; nullopt when there is none.
  std::optional<Instant> next() const;

  // Takes out at most `most` of those noted for `now` or before, the earliest first.
  std::vector<WorkspaceName> take_due(Instant now, std::size_t most);

  std::size_t size() const { return by_name_.size(); }

 private:
  // The set's second points to the key of by_name_, which stays where it is.
  std::set<std::pair<Instant, const WorkspaceName*>> by_instant_;
  std::unordered_map<WorkspaceName, Instant> by_name_;
};

}  // namespace provisioner
