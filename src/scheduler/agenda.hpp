// Which workspace is to be looked at when. A wake-up costs O(due log n).
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <tuple>
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
  // Points to the key of by_name_, which stays where it is. At the same instant names decide, not
  // addresses: the same agenda is worked off in the same order each time.
  using Note = std::pair<Instant, const WorkspaceName*>;
  struct Earlier {
    bool operator()(const Note& a, const Note& b) const {
      return std::tie(a.first, *a.second) < std::tie(b.first, *b.second);
    }
  };
  std::set<Note, Earlier> by_instant_;
  std::unordered_map<WorkspaceName, Instant> by_name_;
};

}  // namespace provisioner
