#include "execution/recovery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "base/text.hpp"
#include "tofu/state_body.hpp"

namespace provisioner::execution {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> read_text(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// tofu gives a state its lineage when it first reaches its backend: one that never did has none.
Result<RecoveredState> recovered_state(const std::string& text) {
  auto body = tofu::completed_state(text);
  if (!body) return std::unexpected(body.error());
  auto meta = tofu::parse_state(*body);
  if (!meta) return std::unexpected(meta.error());
  return RecoveredState{std::move(*meta), std::move(*body)};
}

// What the guard recorded of its end, or the last line that it or the runner printed.
std::string last_words_of(const runner::AttemptDirectory& directory) {
  const auto record = runner::read_exit_record(directory);
  if (record && *record) {
    std::string words = fmt::format("the guard says: {}", (*record)->cause);
    if ((*record)->runner_signal) words += fmt::format(" (signal {})", *(*record)->runner_signal);
    return words;
  }
  const std::string log = read_text(directory.guard_log()).value_or("");
  constexpr std::size_t kMost = 300;
  const std::string_view text = trim(log);
  const auto line = text.substr(text.rfind('\n') + 1);
  return std::string(line.substr(0, kMost));
}

// The state as the attempt's own, under the lock it has or one made for the purpose.
Task<Status> write_for_attempt(Store& store, Instant now, ClaimedRun claimed,
                               RecoveredState state) {
  const StateSlot slot = slot_of(claimed.run);
  const auto held = co_await store.state_lock(slot);
  if (!held) co_return std::unexpected(held.error());
  StateLock lock;
  const bool lock_is_ours = held->has_value() && (*held)->run == claimed.fence.run &&
                            (*held)->attempt == claimed.fence.attempt;
  if (lock_is_ours) {
    lock = **held;
  } else {
    lock.id = fmt::format("recover-{}.{}", claimed.fence.run.value, claimed.fence.attempt.value);
    lock.info_json =
        fmt::format(R"({{"ID":"{}","Operation":"recover","Who":"provisioner"}})", lock.id);
    lock.run = claimed.fence.run;
    lock.attempt = claimed.fence.attempt;
    lock.created_at = now;
    const auto in_the_way = co_await store.lock_state(slot, claimed.fence, lock);
    if (!in_the_way) co_return std::unexpected(in_the_way.error());
    if (*in_the_way) {
      co_return fail(ErrorKind::kConflict,
                     fmt::format("the state is locked by {}", (*in_the_way)->id));
    }
  }
  const auto written = co_await store.write_state(
      slot, claimed.fence, lock.id, std::move(state.meta), std::move(state.body),
      fmt::format("run {} (recovered)", claimed.fence.run.value), now);
  if (!lock_is_ours) {
    const auto unlocked = co_await store.unlock_state(slot, claimed.fence, lock.id);
    if (written && !unlocked) co_return unlocked;
  }
  if (!written) co_return std::unexpected(written.error());
  co_return Status();
}

// The attempt ends here: its state contradicts the current one, so that nothing it could still do
// would be right. The store keeps the body as a divergent version and holds the workspace.
Task<Result<HandOver>> keep_divergent(Store& store, Instant now, ClaimedRun claimed,
                                      RecoveredState state, std::string why) {
  const auto rows = co_await store.attempts(claimed.fence.run);
  if (!rows) co_return std::unexpected(rows.error());
  const auto row = std::ranges::find(*rows, claimed.fence.attempt, &AttemptRow::attempt);
  if (row == rows->end()) co_return fail(ErrorKind::kFenced, "the attempt is over");
  Interruption interruption;
  interruption.run = claimed.fence.run;
  interruption.attempt = claimed.fence.attempt;
  interruption.heartbeat_seq = row->heartbeat_seq;
  interruption.reason = "its state diverges from the current one: " + why;
  interruption.recovered.push_back(std::move(state));
  const auto outcome = co_await store.interrupt_attempt(std::nullopt, interruption, now);
  if (!outcome) co_return std::unexpected(outcome.error());
  co_return HandOver{false, outcome->sentence};
}

// Where the store's copy of an attempt's log ends.
Task<Result<std::int64_t>> log_end(Store& store, AttemptFence fence) {
  constexpr std::int64_t kPage = 1024 * 1024;
  std::int64_t end = 0;
  while (true) {
    const auto chunks = co_await store.log(fence.run, fence.attempt, end, kPage);
    if (!chunks) co_return std::unexpected(chunks.error());
    std::int64_t reached = end;
    for (const auto& chunk : *chunks) {
      if (chunk.attempt != fence.attempt) continue;
      reached = std::max(reached, chunk.offset + static_cast<std::int64_t>(chunk.text.size()));
    }
    if (reached == end) co_return end;
    end = reached;
  }
}

}  // namespace

Task<Result<HandOver>> hand_over_state(Store& store, Instant now, ClaimedRun claimed,
                                       std::string body) {
  auto completed = tofu::completed_state(body);
  if (!completed) co_return std::unexpected(completed.error());
  body = *std::move(completed);
  auto state = recovered_state(body);
  if (!state) co_return std::unexpected(state.error());
  const auto current = co_await store.current_state(slot_of(claimed.run));
  if (!current) co_return std::unexpected(current.error());
  const auto decision =
      check_recovered_state(*current, claimed.base_state, claimed.fence, state->meta);
  switch (decision.verdict) {
    case RecoveryVerdict::kAlreadyThere: co_return HandOver{true, ""};
    case RecoveryVerdict::kDiverged:
      co_return co_await keep_divergent(store, now, std::move(claimed), std::move(*state),
                                        decision.reason);
    case RecoveryVerdict::kAccept: break;
  }
  const auto written =
      co_await write_for_attempt(store, now, std::move(claimed), std::move(*state));
  if (!written) co_return std::unexpected(written.error());
  co_return HandOver{true, ""};
}

Leftovers read_leftovers(const runner::AttemptDirectory& directory) {
  Leftovers leftovers;
  if (auto note = read_attempt_note(directory)) leftovers.note = std::move(*note);
  for (const auto& file : runner::unacknowledged_states(directory)) {
    auto body = read_text(file);
    if (body) {
      if (auto completed = tofu::completed_state(*body)) body = *std::move(completed);
    }
    auto meta = body ? tofu::parse_state(*body) : fail(ErrorKind::kIo, "it cannot be read");
    if (meta) {
      leftovers.states.push_back({std::move(*meta), std::move(*body)});
    } else {
      leftovers.unreadable.push_back(fmt::format("{}: {}", file.string(), meta.error().message));
    }
  }
  leftovers.last_words = last_words_of(directory);
  return leftovers;
}

Task<Status> deliver_log(Store& store, AttemptFence fence, fs::path file) {
  constexpr std::int64_t kPiece = 256 * 1024;
  const auto end = co_await log_end(store, fence);
  if (!end) co_return std::unexpected(end.error());
  std::ifstream in(file, std::ios::binary);
  if (!in.seekg(*end)) co_return Status();  // nothing was spooled
  std::string piece(kPiece, '\0');
  for (std::int64_t offset = *end;;) {
    in.read(piece.data(), kPiece);
    const auto size = in.gcount();
    if (size == 0) co_return Status();
    const auto appended =
        co_await store.append_log(fence, offset, piece.substr(0, static_cast<std::size_t>(size)));
    if (!appended) co_return appended;
    offset += size;
  }
}

fs::path kept_place(const fs::path& state_dir, const WorkspaceName& workspace,
                    const runner::AttemptDirectory& directory) {
  return state_dir / "spool" / "kept" / workspace.value / directory.root.filename();
}

Result<fs::path> keep_apart(const fs::path& state_dir, const WorkspaceName& workspace,
                            const runner::AttemptDirectory& directory) {
  fs::path kept = kept_place(state_dir, workspace, directory);
  std::error_code error;
  fs::create_directories(kept.parent_path(), error);
  if (!error) fs::rename(directory.root, kept, error);
  if (error) {
    return fail_errno(fmt::format("moving {} to {}", directory.root.string(), kept.string()),
                      error.value());
  }
  return kept;
}

Task<Status> hold_workspace(Store& store, WorkspaceName workspace, std::string reason,
                            Instant now) {
  constexpr int kTries = 10;  // others may write the row meanwhile
  for (int i = 0;; ++i) {
    auto row = co_await store.workspace(workspace);
    if (!row) co_return std::unexpected(row.error());
    row->held = true;
    row->hold_until.reset();
    row->hold_reason = reason;
    const auto updated = co_await store.update_workspace(std::move(*row), now);
    if (updated) co_return Status();
    if (updated.error().kind != ErrorKind::kVersionConflict || i == kTries) {
      co_return std::unexpected(updated.error());
    }
  }
}

}  // namespace provisioner::execution
