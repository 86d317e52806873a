// Structured logging: one line an event, for people (text) or programs (JSON, journald fields).
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "runtime/clock.hpp"

namespace provisioner {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
std::string_view to_string(LogLevel level);  // "debug", "info", "warning", "error"
Result<LogLevel> parse_log_level(std::string_view text);

// e.g. {"workspace", "shop"}. Keys are snake_case words of docs/logging.md.
using LogField = std::pair<std::string, std::string>;
using LogFields = std::vector<LogField>;

struct LogEvent {
  Instant at;
  LogLevel level = LogLevel::kInfo;
  std::string logger;   // the room that speaks: "scheduler"
  std::string message;  // a sentence
  LogFields fields;
};

// The least level that is written, which may change at any time. Thread-safe.
using LogThreshold = std::shared_ptr<std::atomic<LogLevel>>;

// Where lines go. Thread-safe; a line is written whole or not at all, and never blocks for long.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void write(const LogEvent& event) = 0;
};

enum class LogFormat {
  kAuto,
  kText,
  kJson
};  // auto: text on a terminal, journald there, else JSON

std::unique_ptr<LogSink> standard_error_sink(LogFormat format, LogThreshold least);

std::string render_json(const LogEvent& event);  // one line without its end
std::string render_text(const LogEvent& event, bool colour);

// A name, fields that go with every line, and a sink. Cheap to copy; thread-safe as the sink is.
class Logger {
 public:
  Logger(std::shared_ptr<LogSink> sink, const Clock& clock, std::string name)
      : sink_(std::move(sink)), clock_(&clock), name_(std::move(name)) {}

  Logger named(std::string name) const;
  Logger with(LogFields fields) const;  // adds to the fields it has

  void debug(std::string message, LogFields fields = {}) const;
  void info(std::string message, LogFields fields = {}) const;
  void warning(std::string message, LogFields fields = {}) const;
  void error(std::string message, LogFields fields = {}) const;

 private:
  void write(LogLevel level, std::string message, LogFields fields) const;

  std::shared_ptr<LogSink> sink_;
  const Clock* clock_;
  std::string name_;
  LogFields fields_;
};

}  // namespace provisioner
