#include "execution/lease_observer.hpp"

namespace provisioner::execution {

std::vector<AttemptRow> LeaseObserver::observe(Term term, std::span<const AttemptRow> running,
                                               BootInstant asked, BootInstant answered) {
  if (term != term_) seen_.clear();
  term_ = term;
  std::map<Key, Sight> now_seen;
  std::vector<AttemptRow> expired;
  for (const auto& row : running) {
    const Key key(row.run, row.attempt);
    Sight sight{row.heartbeat_seq, row.process.has_value(), answered};
    if (const auto before = seen_.find(key); before != seen_.end() &&
                                             before->second.heartbeat_seq == sight.heartbeat_seq &&
                                             before->second.registered == sight.registered) {
      sight.since = before->second.since;
      if (asked - sight.since >= patience_) expired.push_back(row);
    }
    now_seen.emplace(key, sight);
  }
  seen_ = std::move(now_seen);  // ended attempts are forgotten
  return expired;
}

}  // namespace provisioner::execution
