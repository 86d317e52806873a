#include "schedule/timeline.hpp"

#include <fmt/format.h>

#include <tuple>

#include "schedule/occurrences.hpp"

namespace provisioner {
namespace {

std::unexpected<Error> beyond(const Zone& zone) {
  return fail(ErrorKind::kInvalid,
              fmt::format("this lies beyond 2037, where the zone data of {} ends", zone.name()));
}

}  // namespace

std::string_view to_string(Action action) {
  switch (action) {
    case Action::kDeploy: return "deploy";
    case Action::kDestroy: return "destroy";
    case Action::kRun: return "run";
  }
  return "?";
}

Result<Action> parse_action(std::string_view text) {
  if (text == "deploy") return Action::kDeploy;
  if (text == "destroy") return Action::kDestroy;
  if (text == "run") return Action::kRun;
  return fail(ErrorKind::kInvalid,
              fmt::format("\"{}\" is neither deploy nor destroy nor run", text));
}

Timeline::Timeline(std::vector<TimelineRule> rules, Zone zone, DstPolicy dst)
    : rules_(std::move(rules)), zone_(zone), dst_(dst) {}

bool Timeline::precedes(const TimelinePoint& a, const TimelinePoint& b) const {
  const TimelineRule& rule_a = rules_[a.rule];
  const TimelineRule& rule_b = rules_[b.rule];
  const bool deploy_a = rule_a.action == Action::kDeploy;
  const bool deploy_b = rule_b.action == Action::kDeploy;
  return std::tie(a.at, a.local_minute, deploy_a, rule_a.mode, a.rule) <
         std::tie(b.at, b.local_minute, deploy_b, rule_b.mode, b.rule);
}

std::optional<TimelinePoint> Timeline::next_of(std::size_t rule, Instant after) const {
  const auto found = find_next(rules_[rule].cron, zone_, dst_, after);
  if (!found) return std::nullopt;
  return TimelinePoint{found->at, rule, found->local_minute};
}

Result<std::optional<TimelinePoint>> Timeline::next(Instant after) const {
  std::optional<TimelinePoint> best;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const auto point = next_of(i, after);
    if (!point) continue;
    if (!best || point->at < best->at || (point->at == best->at && precedes(*best, *point))) {
      best = point;
    }
  }
  if (!best && !rules_.empty()) return beyond(zone_);
  return best;
}

Result<std::optional<TimelinePoint>> Timeline::last(Instant after, Instant until) const {
  if (until >= kZoneDataEnd) return beyond(zone_);
  std::optional<TimelinePoint> best;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const auto found = find_previous(rules_[i].cron, zone_, dst_, until);
    if (!found || found->at <= after) continue;
    const TimelinePoint point{found->at, i, found->local_minute};
    if (!best || precedes(*best, point)) best = point;
  }
  return best;
}

Result<std::vector<TimelinePoint>> Timeline::points(Instant after, Instant until,
                                                    std::size_t limit) const {
  std::vector<std::optional<TimelinePoint>> heads(rules_.size());  // the next of each rule
  for (std::size_t i = 0; i < rules_.size(); ++i) heads[i] = next_of(i, after);
  std::vector<TimelinePoint> points;
  while (points.size() < limit) {
    std::optional<TimelinePoint>* first = nullptr;
    for (auto& head : heads) {
      if (head && (first == nullptr || precedes(*head, **first))) first = &head;
    }
    if (first == nullptr) {
      if (!rules_.empty() && until >= kZoneDataEnd) return beyond(zone_);
      break;
    }
    if ((*first)->at > until) break;
    points.push_back(**first);
    *first = next_of((*first)->rule, (*first)->at);
  }
  return points;
}

Result<std::int64_t> Timeline::count(Instant after, Instant until) const {
  std::int64_t total = 0;
  for (const TimelineRule& rule : rules_) {
    const auto count = count_occurrences(rule.cron, zone_, dst_, after, until);
    if (!count) return std::unexpected(count.error());
    total += *count;
  }
  return total;
}

}  // namespace provisioner
