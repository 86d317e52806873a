#include "telemetry/log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <mutex>

#include "telemetry/journal.hpp"
#include "telemetry/json_text.hpp"

namespace provisioner {
namespace {

constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kPlain = "\x1b[0m";

std::string_view colour_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return kDim;
    case LogLevel::kInfo: return "";
    case LogLevel::kWarning: return kYellow;
    case LogLevel::kError: return kRed;
  }
  return "";
}

class StandardError final : public LogSink {
 public:
  StandardError(bool json, bool colour, LogThreshold least)
      : json_(json), colour_(colour), least_(std::move(least)) {}

  void write(const LogEvent& event) override {
    if (event.level < *least_) return;
    const std::string line = (json_ ? render_json(event) : render_text(event, colour_)) + '\n';
    const std::scoped_lock whole_lines(mutex_);
    std::string_view rest = line;
    while (!rest.empty()) {
      const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
      // Nobody is left to tell when standard error itself is gone.
      if (written <= 0) return;
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }

 private:
  bool json_;
  bool colour_;
  LogThreshold least_;
  std::mutex mutex_;
};

}  // namespace

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "info";
}

Result<LogLevel> parse_log_level(std::string_view text) {
  for (const auto level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (to_string(level) == text) return level;
  }
  return fail(ErrorKind::kInvalid,
              fmt::format("\"{}\" is not a log level: use debug, info, warning or error", text));
}

std::unique_ptr<LogSink> standard_error_sink(LogFormat format, LogThreshold least) {
  const bool terminal = isatty(STDERR_FILENO) == 1;
  if (format == LogFormat::kAuto && journal_is_standard_error())
    return journal_sink(std::move(least));
  const bool json = format == LogFormat::kJson || (format == LogFormat::kAuto && !terminal);
  const bool colour = terminal && getenv("NO_COLOR") == nullptr;
  return std::make_unique<StandardError>(json, colour, std::move(least));
}

std::string render_json(const LogEvent& event) {
  std::string line = fmt::format(R"({{"timestamp":"{}","level":"{}","logger":{},"message":{})",
                                 format_rfc3339(event.at), to_string(event.level),
                                 json_string(event.logger), json_string(event.message));
  for (const auto& [key, value] : event.fields) {
    line += fmt::format(",{}:{}", json_string(key), json_string(value));
  }
  return line + '}';
}

std::string render_text(const LogEvent& event, bool colour) {
  const std::string_view tint = colour ? colour_of(event.level) : "";
  const std::string_view dim = colour ? kDim : "";
  const std::string_view plain = colour ? kPlain : "";
  std::string line = fmt::format("{}{}{} {}{:<7}{} {}", dim, format_rfc3339(event.at), plain, tint,
                                 to_string(event.level), plain, event.message);
  for (const auto& [key, value] : event.fields) {
    const bool quote = value.empty() || value.find_first_of(" \t\n\"=") != std::string::npos;
    line += fmt::format(" {}{}={}{}", dim, key, plain, quote ? json_string(value) : value);
  }
  return line;
}

Logger Logger::named(std::string name) const {
  Logger other = *this;
  other.name_ = std::move(name);
  return other;
}

Logger Logger::with(LogFields fields) const {
  Logger other = *this;
  for (auto& field : fields) other.fields_.push_back(std::move(field));
  return other;
}

void Logger::debug(std::string message, LogFields fields) const {
  write(LogLevel::kDebug, std::move(message), std::move(fields));
}
void Logger::info(std::string message, LogFields fields) const {
  write(LogLevel::kInfo, std::move(message), std::move(fields));
}
void Logger::warning(std::string message, LogFields fields) const {
  write(LogLevel::kWarning, std::move(message), std::move(fields));
}
void Logger::error(std::string message, LogFields fields) const {
  write(LogLevel::kError, std::move(message), std::move(fields));
}

void Logger::write(LogLevel level, std::string message, LogFields fields) const {
  LogEvent event{clock_->now(), level, name_, std::move(message), fields_};
  for (auto& field : fields) event.fields.push_back(std::move(field));
  sink_->write(event);
}

}  // namespace provisioner
