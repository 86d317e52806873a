#include "scheduler/ledger.hpp"

#include <fmt/format.h>

#include <utility>

namespace provisioner {

Occurrence Ledger::row(const TimelinePoint& point, Outcome outcome, std::string reason) const {
  const TimelineRule& rule = timeline.rules()[point.rule];
  Occurrence row;
  row.workspace = workspace;
  row.job = job;
  row.schedule = rule.label;
  row.at = point.at;
  row.until = point.at;
  row.local_time = timeline.local_time(point.at);
  row.action = rule.action;
  row.mode = rule.mode;
  row.outcome = outcome;
  row.reason = std::move(reason);
  return row;
}

Status Ledger::append(Instant after, Instant until, Outcome outcome, const std::string& reason,
                      std::vector<Occurrence>& rows) const {
  if (until <= after) return {};
  const auto count = timeline.count(after, until);
  if (!count) return std::unexpected(count.error());
  if (*count == 0) return {};
  if (*count <= kMostSingleRows) {
    const auto points = timeline.points(after, until, static_cast<std::size_t>(*count));
    if (!points) return std::unexpected(points.error());
    for (const auto& point : *points) rows.push_back(row(point, outcome, reason));
    return {};
  }
  const auto first = timeline.next(after);
  if (!first) return std::unexpected(first.error());
  const auto last = timeline.last(after, until);
  if (!last) return std::unexpected(last.error());
  if (!*first || !*last) {
    return fail(ErrorKind::kInternal, "a timeline counts occurrences that it cannot find");
  }
  Occurrence range = row(**last, outcome, reason);
  range.schedule = job.empty() ? "*" : fmt::format("jobs.{}.*", job.value);
  range.at = (*first)->at;
  range.until = (*last)->at;
  range.count = *count;
  range.local_time = timeline.local_time(range.at);
  rows.push_back(std::move(range));
  return {};
}

}  // namespace provisioner
