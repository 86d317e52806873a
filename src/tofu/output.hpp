// What tofu says while it works: its JSON lines (`plan -json`, `apply -json`) and the plain text
// around them (init, warnings of the command line, custom commands).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "model/run.hpp"

namespace provisioner::tofu {

struct Diagnostic {
  bool is_error = true;  // else a warning
  std::string summary;
  std::string detail;   // may have several lines
  std::string address;  // of the resource, "" = none
  std::string file;     // relative to the working directory, "" = none
  std::int64_t line = 0;
  friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

enum class Action { kNone, kRead, kCreate, kUpdate, kReplace, kDelete, kMove, kImport, kForget };
std::string_view to_string(Action action);  // "create", "replace", ...

// One resource moved on. `done` of `planned` operations of the whole apply are completed; a
// replacement counts as two, as in tofu's own summary.
struct Progress {
  enum class Stage { kStarted, kRunning, kDone, kFailed };
  Stage stage = Stage::kStarted;
  std::string address;
  Action action = Action::kNone;
  std::chrono::seconds elapsed{0};  // of this resource
  std::int64_t done = 0;
  std::int64_t planned = 0;
  friend bool operator==(const Progress&, const Progress&) = default;
};

// What the plan will do to one resource.
struct PlannedChange {
  std::string address;
  Action action = Action::kNone;
  std::string reason;  // tofu's word: "cannot_update", "delete_because_no_resource_config", ""
  friend bool operator==(const PlannedChange&, const PlannedChange&) = default;
};

// One line of output, understood. At most one of the optional parts is present.
struct OutputEvent {
  // For the log: no ANSI sequences, no control characters but newlines, valid UTF-8, no newline at
  // its end; the words are tofu's own. "" = nothing that a person needs (refresh, version). It
  // may have several lines; empty lines between paragraphs come with the text after them.
  std::string text;
  std::optional<Progress> progress;
  std::optional<Diagnostic> diagnostic;
  std::optional<PlannedChange> planned;
};

// What a step's output amounts to. Lists are bounded; what exceeds them is only counted.
struct OutputSummary {
  std::optional<ResourceCounts> planned;  // "Plan: 2 to add, ..."
  std::optional<ResourceCounts> applied;  // "Apply complete! ..."; absent when it failed
  ResourceCounts finished;                // resources that were completed, also of a failed apply
  std::vector<PlannedChange> removals;    // planned deletions and replacements, at most 200
  std::vector<Diagnostic> errors;         // at most 50, in order
  std::int64_t warnings = 0;
  std::map<std::string, std::string> outputs;  // name -> JSON value; sensitive ones are left out
  bool plan_is_stale = false;                  // plan again
  // Of a lock that this command took and could not release: only such a one may be force-unlocked.
  std::optional<std::string> left_lock;
  std::optional<std::string> lock_in_the_way;  // of somebody else

  bool removes_something() const { return planned && planned->destroy > 0; }

  // One sentence for the run's `error`: the first error, and how many more there are. "" = none.
  std::string first_error() const;
};

// Takes the output as it arrives, in pieces of any size. Not thread-safe. Lines that are no JSON
// are text (in which "Error: ..." begins a diagnostic, as init prints it); a line longer than 1 MiB
// is cut. stdout and stderr need a parser each: lines of two streams may interleave.
class OutputParser {
 public:
  // An apply repeats its plan; `hide_plan` keeps that out of the log.
  explicit OutputParser(bool hide_plan = false) : hide_plan_(hide_plan) {}

  std::vector<OutputEvent> feed(std::string_view piece);

  // The last line, if it had no newline. Call once, when the stream has ended.
  std::vector<OutputEvent> finish();

  const OutputSummary& summary() const { return summary_; }

 private:
  void end_line(std::vector<OutputEvent>& events);
  OutputEvent take_text(std::string_view line);

  bool hide_plan_;
  std::string line_;  // not ended yet
  bool line_is_cut_ = false;
  bool blank_before_ = false;   // an empty line of text waits for the next that is not
  bool in_text_error_ = false;  // lines of text belong to errors.back()
  std::int64_t done_ = 0;       // operations completed
  std::int64_t planned_ = 0;    // operations that the plan in hand holds
  OutputSummary summary_;
};

// `text` without ANSI sequences and control characters (tabs and newlines stay), invalid UTF-8
// replaced by U+FFFD.
std::string plain_text(std::string_view text);

}  // namespace provisioner::tofu
