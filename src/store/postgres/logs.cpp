// The log of each attempt: chunks in order, without gaps.
#include "store/postgres/attempt_rows.hpp"
#include "store/postgres/attempts.hpp"
#include "store/run_rules.hpp"

namespace provisioner::postgres {
namespace {

// So many chunks are looked at in one go; a runner's are small.
constexpr std::int64_t kPage = 1000;

// Begins with the chunk that holds $3, if there is one. The last chunk is the first that may not
// fit: whoever reads on decides.
constexpr std::string_view kChunks =
    "SELECT attempt, position, text FROM (SELECT attempt, position, text, sum(length(text)) OVER "
    "chunks - length(text) - first_value(length(text)) OVER chunks AS before FROM (SELECT attempt, "
    "position, text FROM run_logs WHERE run = $1 AND (attempt, position) >= ($2, coalesce((SELECT "
    "max(position) FROM run_logs WHERE run = $1 AND attempt = $2 AND position <= $3), 0)) ORDER BY "
    "attempt, position LIMIT $5) page WINDOW chunks AS (ORDER BY attempt, position)) chunks WHERE "
    "before <= $4 ORDER BY attempt, position";

// A repeated chunk, however it was cut, adds only what is new, and one that would leave a gap adds
// nothing. The attempt is held, so that this sees all that was appended before.
constexpr std::string_view kAppend =
    "INSERT INTO run_logs (run, attempt, position, text) SELECT a.run, a.attempt, log.size, "
    "substring($5 FROM (log.size - $4)::int + 1) FROM run_attempts a, LATERAL (SELECT "
    "coalesce((SELECT position + length(text) FROM run_logs WHERE run = a.run AND attempt = "
    "a.attempt ORDER BY position DESC LIMIT 1), 0) AS size) log WHERE a.run = $1 AND a.attempt = "
    "$2 AND a.claim_hash = $3 AND a.status = 'running' AND $4 BETWEEN 0 AND log.size AND "
    "log.size - $4 < length($5) RETURNING changed::text::bigint";

}  // namespace

Task<Status> append_log(Transaction& tx, const AttemptFence& fence, std::int64_t offset,
                        const std::string& text) {
  const std::string hash = hash_of(fence.claim);
  // They commit together.
  tx.at_once("SELECT 1 FROM run_attempts WHERE run = $1 AND attempt = $2 FOR NO KEY UPDATE",
             fence.run, fence.attempt);
  const Rows appended =
      co_await tx.rows(tx.at_once(kAppend, fence.run, fence.attempt, hash, offset, Blob{text}));
  if (!appended.empty()) {
    tx.done_in(static_cast<std::uint64_t>(appended[0].integer()));
    tx.announce(Change::Topic::kLog, fence.run.value);
    co_return Status();
  }
  const auto size = tx.ask(
      "SELECT coalesce(max(position + length(text)), 0) FROM run_logs WHERE run = $1 AND attempt = "
      "$2",
      fence.run, fence.attempt);
  const auto found = one_attempt(co_await tx.rows(ask_attempt(tx, fence.run, fence.attempt)));
  if (auto runs_still = check_attempt_fence(found, fence); !runs_still) co_return runs_still;
  co_return check_log_offset(fence, offset, (co_await tx.rows(size))[0].integer());
}

void send_log(Transaction& tx, const AttemptFence& fence, std::int64_t offset,
              std::string_view text) {
  tx.send(kAppend, fence.run, fence.attempt, hash_of(fence.claim), offset, Blob{text});
  tx.announce(Change::Topic::kLog, fence.run.value);
}

Task<Result<std::vector<LogChunk>>> log(Transaction& tx, const RunId& id, Attempt attempt,
                                        std::int64_t offset, std::int64_t limit) {
  std::vector<LogChunk> chunks;
  std::int64_t bytes = 0;
  for (;;) {
    const Rows page = co_await tx.query(kChunks, id, attempt, offset, limit, kPage);
    for (Row row : page) {
      LogChunk chunk{.attempt = row.as<Attempt>(), .offset = row.integer(), .text = row.text()};
      if (!cut_read_part(chunk, attempt, offset)) continue;
      bytes += static_cast<std::int64_t>(chunk.text.size());
      if (!chunks.empty() && bytes > limit) co_return chunks;
      chunks.push_back(std::move(chunk));
    }
    if (page.size() < kPage) co_return chunks;
    attempt = chunks.back().attempt;
    offset = chunks.back().offset + static_cast<std::int64_t>(chunks.back().text.size());
  }
}

}  // namespace provisioner::postgres
