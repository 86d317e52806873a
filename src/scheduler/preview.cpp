#include "scheduler/preview.hpp"

namespace provisioner {

Result<std::vector<PreviewPoint>> preview(const Timeline& timeline, Instant after, Instant until,
                                          std::size_t limit) {
  // One more, to see whether the last is overruled.
  const auto points = timeline.points(after, until, limit + 1);
  if (!points) return std::unexpected(points.error());
  std::vector<PreviewPoint> result;
  for (std::size_t i = 0; i < points->size() && i < limit; ++i) {
    const TimelinePoint& point = (*points)[i];
    const TimelineRule& rule = timeline.rules()[point.rule];
    result.push_back({.at = point.at,
                      .local_time = timeline.local_time(point.at),
                      .timezone = timeline.zone().name(),
                      .action = rule.action,
                      .mode = rule.mode,
                      .schedule = rule.label,
                      .overruled = i + 1 < points->size() && (*points)[i + 1].at == point.at});
  }
  return result;
}

Result<std::vector<PreviewPoint>> preview_next(const Timeline& timeline, Instant after,
                                               std::size_t count) {
  return preview(timeline, after, kZoneDataEnd - Duration(1), count);
}

}  // namespace provisioner
