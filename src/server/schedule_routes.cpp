#include <fmt/format.h>

#include <charconv>
#include <map>

#include "base/text.hpp"
#include "server/replies.hpp"
#include "server/schedule_preview.hpp"

namespace provisioner::server {
namespace {

constexpr std::int64_t kMostPoints = 1000;
constexpr std::int64_t kDefaultPoints = 20;
constexpr std::int64_t kMostFetched = 100'000;  // rows of the ledger for one page

// Where the next page of the ledger begins: at this instant, after so many rows of it.
struct LedgerCursor {
  Instant at;
  std::int64_t skip = 0;
};

std::optional<LedgerCursor> parse_cursor(const std::string& text) {
  const std::vector<std::string_view> parts = split(text, '.');
  if (parts.size() != 2) return std::nullopt;
  std::int64_t numbers[2];
  for (std::size_t i = 0; i < 2; ++i) {
    const auto [end, error] =
        std::from_chars(parts[i].data(), parts[i].data() + parts[i].size(), numbers[i]);
    if (error != std::errc() || end != parts[i].data() + parts[i].size()) return std::nullopt;
  }
  if (numbers[1] < 0 || numbers[1] > 1'000'000) return std::nullopt;
  return LedgerCursor{from_micros(numbers[0]), numbers[1]};
}

}  // namespace

Reply reply_preview(Services& services, const Call& call, const Workspace& row,
                    const std::optional<JobName>& job) {
  const auto from = query_instant(call.request, "from");
  if (!from) return std::unexpected(from.error());
  const auto to = query_instant(call.request, "to");
  if (!to) return std::unexpected(to.error());
  const auto count =
      query_number(call.request, "count", 1, kMostPoints, *to ? kMostPoints : kDefaultPoints);
  if (!count) return std::unexpected(count.error());
  const auto parsed = services.specs.get(row);
  if (!parsed) return refuse(parsed.error());
  // `from` is part of the interval, so that a day can be asked for by its first instant.
  const Instant after = from->value_or(services.now()) - Duration(1);
  const auto limit = static_cast<std::size_t>(*count);
  std::multimap<Instant, PreviewPoint> all;  // what meets keeps the order of the configuration
  const auto take = [&](const Timeline& timeline, const JobName& of) -> Status {
    auto points =
        *to ? preview(timeline, after, **to, limit) : preview_next(timeline, after, limit);
    if (!points) return std::unexpected(points.error());
    for (PreviewPoint& point : *points) {
      point.job = of;
      all.emplace(point.at, std::move(point));
    }
    return {};
  };
  if (!job) {
    if (const auto taken = take((*parsed)->timeline, JobName()); !taken) {
      return refuse(taken.error());
    }
  }
  const auto& jobs = (*parsed)->spec.jobs;
  const bool jobs_run = row.enabled && !row.detached;
  for (std::size_t i = 0; jobs_run && i < jobs.size(); ++i) {
    if (!jobs[i].enabled || (job && *job != jobs[i].name)) continue;
    if (const auto taken = take((*parsed)->job_timelines[i], jobs[i].name); !taken) {
      return refuse(taken.error());
    }
  }
  std::vector<std::string> items;
  for (const auto& [at, point] : all) {
    if (items.size() == limit) break;
    items.push_back(render(point));
  }
  return http::json_response(200, render_array(items));
}

Task<Reply> preview_schedule(Services& services, Call call) {
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  co_return reply_preview(services, call, *row);
}

Task<Reply> list_occurrences(Services& services, Call call) {
  const auto from = query_instant(call.request, "from");
  if (!from) co_return std::unexpected(from.error());
  const auto to = query_instant(call.request, "to");
  if (!to) co_return std::unexpected(to.error());
  const auto limit = query_number(call.request, "limit", 1, 500, 100);
  if (!limit) co_return std::unexpected(limit.error());
  std::optional<LedgerCursor> cursor;
  if (const auto text = call.request.query("cursor")) {
    cursor = parse_cursor(*text);
    if (!cursor) co_return refuse(422, "invalid_request", "cursor: not one of this list");
  }
  OccurrenceFilter filter{.from = *from, .to = cursor ? cursor->at : *to};
  if (const auto name = call.request.query("workspace")) {
    filter.workspace = WorkspaceName(*name);
    if (auto refusal = check_scope(call.caller, *filter.workspace)) {
      co_return std::unexpected(std::move(*refusal));
    }
  }
  const std::int64_t skip = cursor ? cursor->skip : 0;
  // Rows outside the caller's scope are counted for the cursor and not shown: who sees few of many
  // gets them by looking further.
  for (std::int64_t fetched = *limit + skip + 1;; fetched *= 4) {
    filter.limit = static_cast<int>(fetched);
    const auto rows = co_await services.parts.store.occurrences(filter);
    if (!rows) co_return refuse(rows.error());
    std::vector<std::string> items;
    std::optional<std::string> next_cursor;
    LedgerCursor last{.at = filter.to.value_or(Instant::max())};
    for (const Occurrence& row : *rows) {
      if (last.at != row.at) last = {.at = row.at};
      ++last.skip;
      if (cursor && row.at == cursor->at && last.skip <= skip) continue;
      if (!call.caller.scope.contains(row.workspace)) continue;
      if (items.size() == static_cast<std::size_t>(*limit)) {
        next_cursor = fmt::format("{}.{}", to_micros(row.at), last.skip - 1);
        break;
      }
      items.push_back(render(row));
    }
    const bool is_all = rows->size() < static_cast<std::size_t>(fetched);
    if (!next_cursor && !is_all && fetched >= kMostFetched) {
      next_cursor = fmt::format("{}.{}", to_micros(last.at), last.skip);
    }
    if (next_cursor || is_all) {
      co_return http::json_response(200, render_list(items, next_cursor));
    }
  }
}

}  // namespace provisioner::server
