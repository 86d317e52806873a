// The rules by which the store accepts a tofu state. Pure: the store applies them in its
// transaction; state-backend.md says why each exists.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "model/run.hpp"

namespace provisioner {

// What a state says of itself, plus the hash that decides "identical content".
struct StateMeta {
  std::string lineage;
  std::int64_t serial = 0;
  std::string sha256;  // of the body, lower-case hex
  std::int64_t resources = 0;
  friend bool operator==(const StateMeta&, const StateMeta&) = default;
};

struct StateVersion {
  std::int64_t number = 0;  // 1, 2, ... per slot; the newest accepted one is current
  StateMeta meta;
  bool divergent = false;  // kept for a person; never current
  std::optional<RunId> run;
  Attempt attempt;
  std::string written_by;  // "run <id>", "uid:0 (push)", "uid:0 (rollback to 3)"
  Instant at;
};

// tofu's lock: its id, and the JSON it sent, which a refused client gets back verbatim.
struct StateLock {
  std::string id;
  std::string info_json;
  std::optional<RunId> run;  // absent: held by a person's command
  Attempt attempt;
  Instant created_at;
};

enum class StateWriteVerdict { kAccept, kIdentical, kRefuse };
struct StateWriteDecision {
  StateWriteVerdict verdict = StateWriteVerdict::kRefuse;
  std::string reason;  // of a refusal
};

// The body of a run or a locked command. `current` is absent before the first write. `lock` is the
// slot's lock, `lock_id` the one the writer names. The caller has checked the attempt before.
StateWriteDecision check_state_write(const std::optional<StateVersion>& current,
                                     const std::optional<StateLock>& lock,
                                     const std::string& lock_id, const StateMeta& incoming);

enum class RecoveryVerdict { kAccept, kAlreadyThere, kDiverged };
struct RecoveryDecision {
  RecoveryVerdict verdict = RecoveryVerdict::kDiverged;
  std::string reason;
};

// A state found in the spool, or as errored.tfstate, of an attempt that ended without handing it
// over. It counts only if the current version was written by, or is the base of, that attempt.
// `base` is the number of the current version when the attempt was claimed; 0 = there was none.
RecoveryDecision check_recovered_state(const std::optional<StateVersion>& current,
                                       std::int64_t base, const AttemptFence& attempt,
                                       const StateMeta& recovered);

}  // namespace provisioner
