#include "scheduler/agenda.hpp"

namespace provisioner {

void Agenda::note(const WorkspaceName& workspace, Instant at) {
  const auto [entry, is_new] = by_name_.try_emplace(workspace, at);
  if (!is_new) {
    if (entry->second == at) return;
    by_instant_.erase({entry->second, &entry->first});
    entry->second = at;
  }
  by_instant_.emplace(at, &entry->first);
}

void Agenda::forget(const WorkspaceName& workspace) {
  const auto entry = by_name_.find(workspace);
  if (entry == by_name_.end()) return;
  by_instant_.erase({entry->second, &entry->first});
  by_name_.erase(entry);
}

void Agenda::clear() {
  by_instant_.clear();
  by_name_.clear();
}

std::optional<Instant> Agenda::next() const {
  if (by_instant_.empty()) return std::nullopt;
  return by_instant_.begin()->first;
}

std::vector<WorkspaceName> Agenda::take_due(Instant now, std::size_t most) {
  std::vector<WorkspaceName> due;
  while (due.size() < most && !by_instant_.empty() && by_instant_.begin()->first <= now) {
    due.push_back(*by_instant_.begin()->second);
    forget(due.back());
  }
  return due;
}

}  // namespace provisioner
