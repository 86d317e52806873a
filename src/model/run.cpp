#include "model/run.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace provisioner {
namespace {

template <typename Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Names<Operation, 4> kOperations = {{{Operation::kDeploy, "deploy"},
                                              {Operation::kDestroy, "destroy"},
                                              {Operation::kPlan, "plan"},
                                              {Operation::kJob, "job"}}};
constexpr Names<Trigger, 6> kTriggers = {{{Trigger::kSchedule, "schedule"},
                                          {Trigger::kManual, "manual"},
                                          {Trigger::kEvent, "event"},
                                          {Trigger::kChange, "change"},
                                          {Trigger::kTtl, "ttl"},
                                          {Trigger::kRetry, "retry"}}};
constexpr Names<RunStatus, 7> kStatuses = {{{RunStatus::kQueued, "queued"},
                                            {RunStatus::kRunning, "running"},
                                            {RunStatus::kSucceeded, "succeeded"},
                                            {RunStatus::kFailed, "failed"},
                                            {RunStatus::kTimedOut, "timed_out"},
                                            {RunStatus::kCancelled, "cancelled"},
                                            {RunStatus::kInterrupted, "interrupted"}}};

template <typename Enum, std::size_t N>
std::string_view name_of(const Names<Enum, N>& names, Enum value) {
  for (const auto& [candidate, name] : names) {
    if (candidate == value) return name;
  }
  return "";
}

template <typename Enum, std::size_t N>
Result<Enum> value_of(const Names<Enum, N>& names, std::string_view text, std::string_view what) {
  for (const auto& [candidate, name] : names) {
    if (name == text) return candidate;
  }
  return fail(ErrorKind::kInvalid, fmt::format("\"{}\" is not a {}", text, what));
}

}  // namespace

std::string_view to_string(Operation operation) { return name_of(kOperations, operation); }
std::string_view to_string(Trigger trigger) { return name_of(kTriggers, trigger); }
std::string_view to_string(RunStatus status) { return name_of(kStatuses, status); }

bool waits_for_retry(const Run& run) {
  return run.status == RunStatus::kQueued && run.attempt != Attempt() && run.not_before.has_value();
}

Result<Operation> parse_operation(std::string_view text) {
  return value_of(kOperations, text, "run operation");
}
Result<Trigger> parse_trigger(std::string_view text) {
  return value_of(kTriggers, text, "run trigger");
}
Result<RunStatus> parse_run_status(std::string_view text) {
  return value_of(kStatuses, text, "run status");
}

}  // namespace provisioner
