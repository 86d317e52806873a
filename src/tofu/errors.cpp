#include "tofu/errors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <span>

#include "base/text.hpp"

namespace provisioner::tofu {
namespace {

bool contains_ignoring_case(std::string_view text, std::string_view lower_case) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return !std::ranges::search(text, lower_case, {}, lower).empty();
}

bool contains_any(std::string_view text, std::span<const std::string_view> words) {
  return std::ranges::any_of(
      words, [&](std::string_view word) { return contains_ignoring_case(text, word); });
}

bool is_state_refusal(std::string_view text) {
  constexpr std::array<std::string_view, 3> kWords = {
      "failed to save state", "failed to upload state", "error saving state"};
  return contains_any(text, kWords) && contains_ignoring_case(text, "http error: 409");
}

bool is_interruption(std::string_view text) {
  constexpr std::array<std::string_view, 4> kWords = {"execution halted", "operation canceled",
                                                      "operation cancelled", "interrupt received"};
  return contains_any(text, kWords);
}

// A diagnostic that points into a file and concerns no resource's operation: the text is wrong.
bool is_configuration_error(const Diagnostic& error) {
  constexpr std::array<std::string_view, 12> kSummaries = {
      "Reference to undeclared",
      "Unsupported argument",
      "Unsupported block type",
      "Missing required argument",
      "Invalid reference",
      "Unclosed configuration block",
      "Argument or block definition required",
      "No value for required variable",
      "Invalid value for variable",
      "Invalid value for input variable",
      "Duplicate ",
      "Unsupported Terraform Core version",
  };
  if (error.summary.starts_with("Terraform encountered problems during initiali")) return true;
  if (error.summary.starts_with("OpenTofu encountered problems during initiali")) return true;
  return std::ranges::any_of(
      kSummaries, [&](std::string_view word) { return error.summary.starts_with(word); });
}

FailureKind kind_of(const Diagnostic& error) {
  const std::string whole = error.summary + "\n" + error.detail;
  if (whole.contains("Error acquiring the state lock") && whole.contains("already locked")) {
    return FailureKind::kLocked;
  }
  if (is_state_refusal(whole)) return FailureKind::kStateRefused;
  if (is_interruption(whole)) return FailureKind::kInterrupted;
  if (is_configuration_error(error)) return FailureKind::kConfiguration;
  if (speaks_of_passing_fault(whole)) return FailureKind::kTransient;
  return FailureKind::kOther;
}

// The kind that decides when errors differ: what forbids a retry wins over what allows one.
FailureKind decisive_kind(const OutputSummary& summary) {
  constexpr std::array kOrder = {FailureKind::kStateRefused, FailureKind::kInterrupted,
                                 FailureKind::kLocked,       FailureKind::kConfiguration,
                                 FailureKind::kOther,        FailureKind::kTransient};
  for (const FailureKind kind : kOrder) {
    const bool has = std::ranges::any_of(
        summary.errors, [&](const Diagnostic& error) { return kind_of(error) == kind; });
    if (has) return kind;
  }
  return FailureKind::kOther;
}

// The last line of `tail` that says something.
std::string_view last_line(std::string_view tail) {
  const auto lines = split(tail, '\n');
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (!trim(*line).empty()) return trim(*line);
  }
  return {};
}

std::string how_it_ended(const StepExit& exit) {
  if (exit.signal == 0) return fmt::format("{} failed with exit code {}", exit.step, exit.code);
  return fmt::format("{} was ended by signal {}", exit.step, exit.signal);
}

}  // namespace

std::string_view to_string(FailureKind kind) {
  switch (kind) {
    case FailureKind::kConfiguration: return "configuration";
    case FailureKind::kTransient: return "transient";
    case FailureKind::kLocked: return "locked";
    case FailureKind::kPlanStale: return "plan_stale";
    case FailureKind::kStateRefused: return "state_refused";
    case FailureKind::kInterrupted: return "interrupted";
    case FailureKind::kOther: return "other";
  }
  return "other";
}

bool speaks_of_passing_fault(std::string_view text) {
  // "timeout" is also written "timed out", and DNS says "temporary failure in name resolution".
  constexpr std::array<std::string_view, 11> kWords = {
      "connection refused",  "timeout",       "timed out",           "temporary failure",
      "rate limit",          "rate exceeded", "service unavailable", "too many requests",
      "connection reset by", "throttling",    "tls handshake"};
  return contains_any(text, kWords);
}

bool asks_for_init(const OutputSummary& summary, std::string_view tail) {
  // Both products end such an error with the command that mends it.
  constexpr std::array<std::string_view, 5> kWords = {
      "terraform init", "tofu init", "initialization required",
      "required plugins are not installed", "inconsistent dependency lock file"};
  if (contains_any(tail, kWords)) return true;
  return std::ranges::any_of(summary.errors, [&](const Diagnostic& error) {
    return contains_any(error.summary + "\n" + error.detail, kWords);
  });
}

Failure classify_failure(const StepExit& exit, const OutputSummary& summary,
                         std::string_view tail) {
  Failure failure;
  if (summary.errors.empty()) {
    const std::string_view said = last_line(tail);
    failure.sentence = how_it_ended(exit);
    if (!said.empty()) failure.sentence += fmt::format(": {}", said);
    if (exit.signal != 0 || is_interruption(tail)) {
      failure.kind = FailureKind::kInterrupted;
    } else if (speaks_of_passing_fault(tail)) {
      failure.kind = FailureKind::kTransient;
    }
    return failure;
  }
  failure.sentence = fmt::format("{}: {}", exit.step, summary.first_error());
  failure.kind = summary.plan_is_stale ? FailureKind::kPlanStale : decisive_kind(summary);
  if (exit.signal != 0) failure.kind = FailureKind::kInterrupted;
  if (failure.kind == FailureKind::kLocked) failure.lock_id = summary.lock_in_the_way;
  return failure;
}

}  // namespace provisioner::tofu
