// The log of each attempt: chunks in order, without gaps.
#include <algorithm>
#include <string_view>

#include "store/run_rules.hpp"
#include "store/sqlite/attempts.hpp"

namespace provisioner::sqlite {
namespace {

std::int64_t end_of_log(Transaction& tx, const RunId& id, Attempt attempt) {
  auto query = tx.sql(
      "SELECT position + length(text) FROM run_logs WHERE run = ? AND attempt = ? ORDER BY "
      "position "
      "DESC LIMIT 1");
  query.bind(id, attempt);
  return query.step() ? query.row().integer() : 0;
}

}  // namespace

Status append_log(Transaction& tx, const AttemptFence& fence, std::int64_t offset,
                  const std::string& text) {
  if (auto runs_still = check_attempt(tx, fence); !runs_still) {
    return std::unexpected(runs_still.error());
  }
  const std::int64_t end = end_of_log(tx, fence.run, fence.attempt);
  if (auto follows = check_log_offset(fence, offset, end); !follows) return follows;
  // A repeated chunk, however it was cut, adds only what is new.
  std::string_view fresh = text;
  fresh.remove_prefix(std::min(fresh.size(), static_cast<std::size_t>(end - offset)));
  if (fresh.empty()) return {};
  tx.sql("INSERT INTO run_logs (run, attempt, position, text) VALUES (?, ?, ?, ?)")
      .run(fence.run, fence.attempt, end, Blob{fresh});
  tx.announce(Change::Topic::kLog, fence.run.value);
  return {};
}

Result<std::vector<LogChunk>> log(Transaction& tx, const RunId& id, Attempt attempt,
                                  std::int64_t offset, std::int64_t limit) {
  // Begins with the chunk that holds `offset`, if there is one.
  auto query = tx.sql(
      "SELECT attempt, position, text FROM run_logs WHERE run = ?1 AND (attempt > ?2 OR (attempt = "
      "?2 AND position >= coalesce((SELECT max(position) FROM run_logs WHERE run = ?1 AND attempt "
      "= "
      "?2 AND position <= ?3), 0))) ORDER BY attempt, position");
  query.bind(id, attempt, offset);
  std::vector<LogChunk> chunks;
  std::int64_t bytes = 0;
  while (query.step()) {
    Row row = query.row();
    LogChunk chunk{.attempt = row.as<Attempt>(), .offset = row.integer(), .text = row.text()};
    if (!cut_read_part(chunk, attempt, offset)) continue;
    bytes += static_cast<std::int64_t>(chunk.text.size());
    if (!chunks.empty() && bytes > limit) break;
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

}  // namespace provisioner::sqlite
