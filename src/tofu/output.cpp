#include "tofu/output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "tofu/json_depth.hpp"

namespace provisioner::tofu {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLongestLine = 1 << 20;
constexpr std::size_t kLongestText = 16 << 10;  // of a line that could not be understood
constexpr std::size_t kMostRemovals = 200;
constexpr std::size_t kMostErrors = 50;
constexpr std::size_t kLongestDetail = 8 << 10;

// Members that are absent or of another type read as empty: tofu adds and changes fields.
const Json& member(const Json& json, const char* name) {
  static const Json kNothing;
  if (!json.is_object()) return kNothing;
  const auto found = json.find(name);
  return found == json.end() ? kNothing : *found;
}

std::string text_of(const Json& json, const char* name) {
  const Json& value = member(json, name);
  return value.is_string() ? plain_text(value.get_ref<const std::string&>()) : "";
}

std::int64_t number_of(const Json& json, const char* name) {
  const Json& value = member(json, name);
  if (value.is_number_integer()) return value.get<std::int64_t>();
  // A float beyond the range would be undefined to convert.
  if (value.is_number_float() && std::abs(value.get<double>()) < 1e15) {
    return static_cast<std::int64_t>(value.get<double>());
  }
  return 0;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Action parse_action(std::string_view word) {
  constexpr std::array kActions = {Action::kRead,    Action::kCreate, Action::kUpdate,
                                   Action::kReplace, Action::kDelete, Action::kMove,
                                   Action::kImport,  Action::kForget};
  if (word == "remove") return Action::kForget;
  for (const Action action : kActions) {
    if (word == to_string(action)) return action;
  }
  return Action::kNone;
}

// How many operations a planned change is, as tofu's summary counts them.
std::int64_t operations(Action action) {
  switch (action) {
    case Action::kCreate:
    case Action::kUpdate:
    case Action::kDelete: return 1;
    case Action::kReplace: return 2;
    default: return 0;
  }
}

ResourceCounts counts_of(const Json& changes) {
  return {number_of(changes, "add"), number_of(changes, "change"), number_of(changes, "remove")};
}

Diagnostic parse_diagnostic(const Json& json) {
  Diagnostic diagnostic;
  diagnostic.is_error = text_of(json, "severity") != "warning";
  diagnostic.summary = text_of(json, "summary");
  diagnostic.detail = trim(text_of(json, "detail"));
  diagnostic.address = text_of(json, "address");
  const Json& range = member(json, "range");
  diagnostic.file = text_of(range, "filename");
  diagnostic.line = number_of(member(range, "start"), "line");
  return diagnostic;
}

// As tofu prints it without -json.
std::string diagnostic_text(const Diagnostic& diagnostic, const Json& json) {
  std::string text =
      fmt::format("\n{}: {}\n", diagnostic.is_error ? "Error" : "Warning", diagnostic.summary);
  if (!diagnostic.address.empty()) text += fmt::format("\n  with {}", diagnostic.address);
  if (!diagnostic.file.empty()) {
    const Json& snippet = member(json, "snippet");
    const std::string context = text_of(snippet, "context");
    text += fmt::format("\n  on {} line {}{}{}:", diagnostic.file, diagnostic.line,
                        context.empty() ? "" : ", in ", context);
    std::int64_t line = number_of(snippet, "start_line");
    const std::string code = text_of(snippet, "code");
    if (!code.empty()) {
      for (const std::string_view row : split(code, '\n')) {
        text += fmt::format("\n  {:>3}: {}", line++, row);
      }
    }
  }
  if (!diagnostic.address.empty() || !diagnostic.file.empty()) text += "\n";
  if (!diagnostic.detail.empty()) text += fmt::format("\n{}\n", diagnostic.detail);
  return text;
}

std::string outputs_text(const Json& outputs) {
  std::string text;
  for (const auto& [name, output] : outputs.items()) {
    if (!output.is_object() || output.contains("action")) continue;  // planned: not known yet
    const bool sensitive = member(output, "sensitive") == Json(true);
    if (!sensitive && !output.contains("value")) continue;
    text += fmt::format("\n{} = {}", plain_text(name),
                        sensitive ? "<sensitive>" : plain_text(dump(output["value"])));
  }
  return text.empty() ? text : "\nOutputs:\n" + text;
}

// What follows `marker` in `text`, as far as it can be a lock's ID.
std::optional<std::string> id_after(std::string_view text, std::string_view marker) {
  const auto found = text.find(marker);
  if (found == std::string_view::npos) return std::nullopt;
  text.remove_prefix(found + marker.size());
  while (!text.empty() && (text.front() == ' ' || text.front() == '"')) text.remove_prefix(1);
  const auto end = std::find_if(text.begin(), text.end(), [](char c) {
    return c == ' ' || c == '\n' || c == '"' || c == ',' || c == '\t';
  });
  if (end == text.begin()) return std::nullopt;
  return std::string(text.begin(), end);
}

// Learns from an error, whether it came as JSON or as text.
void note_error(const Diagnostic& error, OutputSummary& summary) {
  const std::string whole = error.summary + "\n" + error.detail;
  if (error.summary.starts_with("Saved plan is stale")) summary.plan_is_stale = true;
  if (whole.contains("Error releasing the state lock")) {
    if (auto id = id_after(whole, "ID:")) summary.left_lock = std::move(id);
  } else if (whole.contains("Error acquiring the state lock")) {
    // The http backend's message names the holder; the "Lock Info" under it is then of the request.
    auto id = id_after(whole, "already locked: ID=");
    if (!id && !whole.contains("HTTP remote state")) id = id_after(whole, "ID:");
    if (id) summary.lock_in_the_way = std::move(id);
  }
}

Progress::Stage stage_of(std::string_view type) {
  if (type == "apply_start") return Progress::Stage::kStarted;
  if (type == "apply_complete") return Progress::Stage::kDone;
  if (type == "apply_errored") return Progress::Stage::kFailed;
  return Progress::Stage::kRunning;
}

std::string_view without_trailing_space(std::string_view text) {
  const auto last = text.find_last_not_of(" \t\r\n");
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

// The state that one JSON line may change.
struct Tally {
  bool hide_plan;
  std::int64_t& done;
  std::int64_t& planned;
  OutputSummary& summary;
};

OutputEvent take_progress(const Json& json, std::string_view type, Tally tally) {
  const Json& hook = member(json, "hook");
  OutputEvent event;
  Progress progress;
  progress.stage = stage_of(type);
  progress.address = text_of(member(hook, "resource"), "addr");
  progress.action = parse_action(text_of(hook, "action"));
  progress.elapsed = std::chrono::seconds(number_of(hook, "elapsed_seconds"));
  if (progress.stage == Progress::Stage::kDone) {
    ResourceCounts& finished = tally.summary.finished;
    if (progress.action == Action::kCreate) ++finished.add;
    if (progress.action == Action::kUpdate) ++finished.change;
    if (progress.action == Action::kDelete) ++finished.destroy;
    tally.done += operations(progress.action);
  }
  progress.done = tally.done;
  progress.planned = std::max(tally.planned, tally.done);
  event.text = text_of(json, "@message");
  event.progress = std::move(progress);
  return event;
}

OutputEvent take_planned_change(const Json& json, Tally tally) {
  const Json& change = member(json, "change");
  PlannedChange planned{text_of(member(change, "resource"), "addr"),
                        parse_action(text_of(change, "action")), text_of(change, "reason")};
  tally.planned += operations(planned.action);
  const bool removes = planned.action == Action::kDelete || planned.action == Action::kReplace;
  if (removes && tally.summary.removals.size() < kMostRemovals) {
    tally.summary.removals.push_back(planned);
  }
  OutputEvent event;
  if (!tally.hide_plan) event.text = text_of(json, "@message");
  event.planned = std::move(planned);
  return event;
}

OutputEvent take_summary(const Json& json, Tally tally) {
  const Json& changes = member(json, "changes");
  const bool of_plan = text_of(changes, "operation") == "plan";
  (of_plan ? tally.summary.planned : tally.summary.applied) = counts_of(changes);
  return {.text = "\n" + text_of(json, "@message")};
}

OutputEvent take_outputs(const Json& json, Tally tally) {
  const Json& outputs = member(json, "outputs");
  if (!outputs.is_object()) return {};
  for (const auto& [name, output] : outputs.items()) {
    if (member(output, "sensitive") == Json(false) && output.contains("value")) {
      tally.summary.outputs[name] = dump(output["value"]);
    }
  }
  return {.text = outputs_text(outputs)};
}

OutputEvent take_diagnostic(const Json& json, Tally tally) {
  const Json& body = member(json, "diagnostic");
  Diagnostic diagnostic = parse_diagnostic(body);
  if (diagnostic.is_error) {
    note_error(diagnostic, tally.summary);
    if (tally.summary.errors.size() < kMostErrors) tally.summary.errors.push_back(diagnostic);
  } else {
    ++tally.summary.warnings;
  }
  OutputEvent event;
  event.text = diagnostic_text(diagnostic, body);
  event.diagnostic = std::move(diagnostic);
  return event;
}

OutputEvent take_json(const Json& json, Tally tally) {
  const std::string type = text_of(json, "type");
  if (type == "version" || type.starts_with("refresh_")) return {};
  if (type == "diagnostic") return take_diagnostic(json, tally);
  if (type == "change_summary") return take_summary(json, tally);
  if (type == "outputs") return take_outputs(json, tally);
  if (type == "planned_change") return take_planned_change(json, tally);
  if (type.starts_with("apply_")) return take_progress(json, type, tally);
  return {.text = text_of(json, "@message")};
}

}  // namespace

std::string_view to_string(Action action) {
  switch (action) {
    case Action::kNone: return "none";
    case Action::kRead: return "read";
    case Action::kCreate: return "create";
    case Action::kUpdate: return "update";
    case Action::kReplace: return "replace";
    case Action::kDelete: return "delete";
    case Action::kMove: return "move";
    case Action::kImport: return "import";
    case Action::kForget: return "forget";
  }
  return "none";
}

std::string OutputSummary::first_error() const {
  if (errors.empty()) return "";
  const Diagnostic& first = errors.front();
  std::string sentence = first.summary;
  if (!first.address.empty()) sentence += fmt::format(" ({})", first.address);
  if (!first.file.empty()) sentence += fmt::format(", {}:{}", first.file, first.line);
  if (!first.detail.empty()) {
    // The first paragraph on one line; the rest is in the log.
    std::string detail = first.detail.substr(0, first.detail.find("\n\n"));
    std::ranges::replace(detail, '\n', ' ');
    sentence += ": " + detail;
  }
  if (errors.size() > 1) sentence += fmt::format(" (and {} more errors)", errors.size() - 1);
  return sentence;
}

std::vector<OutputEvent> OutputParser::feed(std::string_view piece) {
  std::vector<OutputEvent> events;
  while (!piece.empty()) {
    const auto newline = piece.find('\n');
    const std::string_view part = piece.substr(0, newline);
    const std::size_t room = kLongestLine - line_.size();
    line_ += part.substr(0, room);
    if (part.size() > room) line_is_cut_ = true;
    if (newline == std::string_view::npos) break;
    end_line(events);
    piece.remove_prefix(newline + 1);
  }
  return events;
}

std::vector<OutputEvent> OutputParser::finish() {
  std::vector<OutputEvent> events;
  if (!line_.empty()) end_line(events);
  return events;
}

void OutputParser::end_line(std::vector<OutputEvent>& events) {
  const std::string line = std::exchange(line_, {});
  const bool cut = std::exchange(line_is_cut_, false);
  OutputEvent event;
  Json json;
  if (!cut && line.starts_with('{') && !nests_too_deep(line)) {
    // Invalid UTF-8 would make the parser refuse the line; what it replaces is only text.
    json = Json::parse(plain_text(line), nullptr, false);
  }
  if (member(json, "type").is_string() && member(json, "@message").is_string()) {
    in_text_error_ = false;
    event = take_json(json, {hide_plan_, done_, planned_, summary_});
    if (std::exchange(blank_before_, event.text.ends_with('\n')) && !event.text.empty() &&
        !event.text.starts_with('\n')) {
      event.text.insert(0, "\n");
    }
    event.text = without_trailing_space(event.text);
  } else {
    const std::size_t shown = cut || line.size() > kLongestText ? kLongestText : line.size();
    event = take_text(std::string_view(line).substr(0, shown));
    if (shown < line.size()) event.text += fmt::format(" ... (cut: longer than {} bytes)", shown);
  }
  const bool says_something =
      !event.text.empty() || event.progress || event.diagnostic || event.planned;
  if (says_something) events.push_back(std::move(event));
}

OutputEvent OutputParser::take_text(std::string_view line) {
  const std::string plain(without_trailing_space(plain_text(line)));
  if (plain.empty()) {
    blank_before_ = true;
    return {};
  }
  // Boxes around diagnostics, where -no-color did not reach.
  std::string_view words = plain;
  for (const std::string_view border : {"│", "╷", "╵"}) {
    if (words.starts_with(border)) words.remove_prefix(border.size());
  }
  words = trim(words);
  constexpr std::string_view kError = "Error: ";
  if (words.starts_with(kError)) {
    in_text_error_ = summary_.errors.size() < kMostErrors;
    if (in_text_error_) {
      summary_.errors.push_back({.summary = std::string(words.substr(kError.size()))});
      note_error(summary_.errors.back(), summary_);
    }
  } else if (words.starts_with("Warning: ") || plain.starts_with("╵")) {
    in_text_error_ = false;
    if (words.starts_with("Warning: ")) ++summary_.warnings;
  } else if (in_text_error_ && !words.empty()) {
    std::string& detail = summary_.errors.back().detail;
    if (detail.size() + words.size() < kLongestDetail) {
      if (!detail.empty()) detail += blank_before_ ? "\n\n" : "\n";
      detail += words;
      note_error(summary_.errors.back(), summary_);
    }
  }
  OutputEvent event;
  event.text = (std::exchange(blank_before_, false) ? "\n" : "") + plain;
  return event;
}

}  // namespace provisioner::tofu
