// Reading a run's log while it grows. Inner to the room.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "http/message.hpp"
#include "server/routes.hpp"

namespace provisioner::server {

// A place in a run's log; as an event's id "<attempt>:<offset>".
struct LogPosition {
  Attempt attempt;
  std::int64_t offset = 0;  // bytes of that attempt's log before it

  std::string to_string() const;
  static std::optional<LogPosition> parse(std::string_view text);
  friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

// Cuts a log that arrives in chunks into whole lines, with the position behind them. A line longer
// than kLongest comes in pieces.
class LineCutter {
 public:
  static constexpr std::size_t kLongest = 64 * 1024;

  struct Lines {
    LogPosition end;
    std::string text;  // without the last line's end
  };

  // What is complete with this chunk; text that another attempt left without a line's end comes
  // first, as a piece of its own.
  std::vector<Lines> feed(const LogChunk& chunk);

  // What remains when the log has ended.
  std::optional<Lines> flush();

 private:
  LogPosition begin_;  // of pending_
  std::string pending_;
};

// The whole log as text; a line "--- attempt N ---" stands before each attempt after the first.
// With `follow`, until the run has ended.
std::function<Task<>(http::WriteChunk)> log_as_text(Services& services, RunId run,
                                                    LogPosition after, bool follow);

// Server-sent events: `log` with whole lines as data and a LogPosition as id; `run` with the run's
// JSON at the beginning and whenever it changes; `end` with the run's JSON when it has ended and
// all its log was sent. A comment every 15 s keeps proxies patient.
std::function<Task<>(http::WriteChunk)> log_as_events(Services& services, RunId run,
                                                      LogPosition after, bool follow);

}  // namespace provisioner::server
