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

bool is_unsaved_state(std::string_view text) {
  constexpr std::array<std::string_view, 5> kWords = {
      "failed to save state", "failed to upload state", "error saving state",
      "failed to persist state", "errored.tfstate"};
  return contains_any(text, kWords);
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
  constexpr std::array<std::string_view, 3> kDetails = {"no available releases match",
                                                        "does not have a provider named",
                                                        "no versions available that match"};
  if (contains_any(error.detail, kDetails)) return true;
  return std::ranges::any_of(
      kSummaries, [&](std::string_view word) { return error.summary.starts_with(word); });
}

FailureKind kind_of(const Diagnostic& error) {
  const std::string whole = error.summary + "\n" + error.detail;
  if (whole.contains("Error acquiring the state lock") &&
      (whole.contains("already locked") || whole.contains("Lock Info:"))) {
    return FailureKind::kLocked;
  }
  if (is_unsaved_state(whole)) {
    return contains_ignoring_case(whole, "http error: 409") ? FailureKind::kStateRefused
                                                            : FailureKind::kStateUnsaved;
  }
  if (is_interruption(whole)) return FailureKind::kInterrupted;
  if (is_configuration_error(error)) return FailureKind::kConfiguration;
  return kind_of_fault(whole);
}

// The kind that decides when errors differ: what forbids a retry wins over what allows one.
FailureKind decisive_kind(const OutputSummary& summary) {
  using enum FailureKind;
  constexpr std::array kOrder = {kStateRefused,  kStateUnsaved, kInterrupted, kLocked,
                                 kConfiguration, kDenied,       kQuota,       kExists,
                                 kOther,         kTransient};
  for (const FailureKind kind : kOrder) {
    const bool has = std::ranges::any_of(
        summary.errors, [&](const Diagnostic& error) { return kind_of(error) == kind; });
    if (has) return kind;
  }
  return FailureKind::kOther;
}

// Every error is of a passing kind here.
std::string first_host(const OutputSummary& summary) {
  for (const Diagnostic& error : summary.errors) {
    std::string host = host_in(error.summary + "\n" + error.detail);
    if (!host.empty()) return host;
  }
  return "";
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
    } else {
      failure.kind = kind_of_fault(tail);
    }
    if (failure.is_retryable()) failure.host = host_in(tail);
    return failure;
  }
  failure.sentence = fmt::format("{}: {}", exit.step, summary.first_error());
  failure.kind = summary.plan_is_stale ? FailureKind::kPlanStale : decisive_kind(summary);
  if (exit.signal != 0) failure.kind = FailureKind::kInterrupted;
  if (failure.kind == FailureKind::kLocked) failure.lock_id = summary.lock_in_the_way;
  if (failure.is_retryable()) failure.host = first_host(summary);
  return failure;
}

}  // namespace provisioner::tofu
