// The location macros of sd-journal would name this file for every line.
#define SD_JOURNAL_SUPPRESS_LOCATION

#include "telemetry/journal.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>

namespace provisioner {
namespace {

int priority_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return LOG_DEBUG;
    case LogLevel::kInfo: return LOG_INFO;
    case LogLevel::kWarning: return LOG_WARNING;
    case LogLevel::kError: return LOG_ERR;
  }
  return LOG_INFO;
}

class Journal final : public LogSink {
 public:
  explicit Journal(LogThreshold least) : least_(std::move(least)) {}

  void write(const LogEvent& event) override {
    if (event.level < *least_) return;
    std::vector<std::string> lines = {
        fmt::format("MESSAGE={}", event.message),
        fmt::format("PRIORITY={}", priority_of(event.level)),
        fmt::format("PROVISIONER_LOGGER={}", event.logger),
    };
    for (const auto& [key, value] : event.fields) {
      std::string name = key;
      for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      lines.push_back(fmt::format("PROVISIONER_{}={}", name, value));
    }
    std::vector<iovec> parts;
    parts.reserve(lines.size());
    for (auto& line : lines) parts.push_back({line.data(), line.size()});
    // The journal is the last resort: there is nowhere to report that it cannot be written.
    (void)sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
  }

 private:
  LogThreshold least_;
};

}  // namespace

bool journal_is_standard_error() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  if (stream == nullptr) return false;
  struct stat file{};
  if (fstat(STDERR_FILENO, &file) != 0) return false;
  return fmt::format("{}:{}", file.st_dev, file.st_ino) == stream;
}

std::unique_ptr<LogSink> journal_sink(LogThreshold least) {
  return std::make_unique<Journal>(std::move(least));
}

}  // namespace provisioner
