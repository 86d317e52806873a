#include "server/log_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "http/event_stream.hpp"
#include "runtime/signal.hpp"
#include "server/render.hpp"

namespace provisioner::server {
namespace {

constexpr std::int64_t kPage = 256 * 1024;
constexpr Duration kKeepAlive = std::chrono::seconds(15);
constexpr Duration kStorePause = std::chrono::seconds(1);

// In server-sent events a carriage return ends a line, too.
std::string without_carriage_returns(std::string text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      out.push_back(text[i]);
    } else if (i + 1 == text.size() || text[i + 1] != '\n') {
      out.push_back('\n');
    }
  }
  return out;
}

// What both forms of the log share: reading on from a position, and waiting for more.
class Follower {
 public:
  Follower(Services& services, RunId run, LogPosition position,
           const boost::asio::any_io_executor& loop)
      : services_(services),
        run_(std::move(run)),
        position_(position),
        changed_(loop),
        subscription_(services.parts.store.subscribe([this](const Change& change) {
          if (change.key == run_.value) changed_.notify();
        })) {}

  Task<Result<Run>> run() { co_return co_await services_.parts.store.run(run_); }

  // Empty: nothing more at present. `run` is what run() answered before.
  Task<Result<std::vector<LogChunk>>> read(const Result<Run>& run) {
    if (run && run->attempt == Attempt(0)) co_return std::vector<LogChunk>();  // not begun
    auto chunks =
        co_await services_.parts.store.log(run_, position_.attempt, position_.offset, kPage);
    if (chunks && !chunks->empty()) {
      const LogChunk& last = chunks->back();
      position_ = {last.attempt, last.offset + static_cast<std::int64_t>(last.text.size())};
    }
    co_return chunks;
  }

  // True: look again; false: nothing happened for a while.
  Task<bool> wait(Duration longest) {
    Clock& clock = services_.parts.clock;
    co_return co_await changed_.wait_until(clock, clock.boot_now() + longest);
  }

 private:
  Services& services_;
  RunId run_;
  LogPosition position_;
  Signal changed_;
  Store::Subscription subscription_;
};

}  // namespace

std::string LogPosition::to_string() const { return fmt::format("{}:{}", attempt.value, offset); }

std::optional<LogPosition> LogPosition::parse(std::string_view text) {
  LogPosition position;
  const char* const end = text.data() + text.size();
  const auto attempt = std::from_chars(text.data(), end, position.attempt.value);
  if (attempt.ec != std::errc() || attempt.ptr == end || *attempt.ptr != ':') return std::nullopt;
  const auto offset = std::from_chars(attempt.ptr + 1, end, position.offset);
  if (offset.ec != std::errc() || offset.ptr != end) return std::nullopt;
  if (position.attempt.value < 0 || position.offset < 0) return std::nullopt;
  return position;
}

std::vector<LineCutter::Lines> LineCutter::feed(const LogChunk& chunk) {
  std::vector<Lines> complete;
  if (chunk.attempt != begin_.attempt) {
    if (auto rest = flush()) complete.push_back(std::move(*rest));
  }
  if (pending_.empty()) begin_ = {chunk.attempt, chunk.offset};
  pending_ += chunk.text;
  const auto take = [&](std::size_t size, std::size_t line_end) {
    begin_.offset += static_cast<std::int64_t>(size + line_end);
    complete.push_back({begin_, pending_.substr(0, size)});
    pending_.erase(0, size + line_end);
  };
  if (const auto end = pending_.rfind('\n'); end != std::string::npos) take(end, 1);
  while (pending_.size() > kLongest) {
    // Not within a character of several bytes.
    std::size_t size = kLongest;
    while (size > kLongest - 4 && (static_cast<unsigned char>(pending_[size]) & 0xC0) == 0x80) {
      --size;
    }
    take(size, 0);
  }
  return complete;
}

std::optional<LineCutter::Lines> LineCutter::flush() {
  if (pending_.empty()) return std::nullopt;
  begin_.offset += static_cast<std::int64_t>(pending_.size());
  return Lines{begin_, std::exchange(pending_, {})};
}

std::function<Task<>(http::WriteChunk)> log_as_text(Services& services, RunId run,
                                                    LogPosition after, bool follow) {
  return [&services, run, after, follow](http::WriteChunk write) -> Task<> {
    Follower follower(services, run, after, co_await boost::asio::this_coro::executor);
    Attempt shown = after.attempt;
    for (;;) {
      // Asked for before the log: what a run wrote before it ended is then in what follows.
      const Result<Run> row = co_await follower.run();
      if (!row && row.error().kind == ErrorKind::kNotFound) co_return;
      auto chunks = co_await follower.read(row);
      while (chunks && !chunks->empty()) {
        std::string text;
        for (const LogChunk& chunk : *chunks) {
          if (shown.value != 0 && chunk.attempt != shown) {
            text += fmt::format("--- attempt {} ---\n", chunk.attempt.value);
          }
          shown = chunk.attempt;
          text += chunk.text;
        }
        if (!co_await write(text)) co_return;
        chunks = co_await follower.read(row);
      }
      if (chunks && (!follow || (row && is_final(row->status)))) co_return;
      if (!chunks && !follow) co_return;
      co_await follower.wait(chunks && row ? kKeepAlive : kStorePause);
    }
  };
}

std::function<Task<>(http::WriteChunk)> log_as_events(Services& services, RunId run,
                                                      LogPosition after, bool follow) {
  return [&services, run, after, follow](http::WriteChunk write) -> Task<> {
    Follower follower(services, run, after, co_await boost::asio::this_coro::executor);
    LineCutter cutter;
    std::string shown_run;
    const auto as_events = [](const std::vector<LineCutter::Lines>& all) {
      std::string events;
      for (const auto& lines : all) {
        events +=
            http::format_event("log", lines.end.to_string(), without_carriage_returns(lines.text));
      }
      return events;
    };
    for (;;) {
      const Result<Run> row = co_await follower.run();
      if (!row && row.error().kind == ErrorKind::kNotFound) co_return;
      std::string events;
      std::string json = row ? render(*row) : shown_run;
      if (json != shown_run) events += http::format_event("run", "", json);
      shown_run = std::move(json);
      if (!events.empty() && !co_await write(events)) co_return;
      auto chunks = co_await follower.read(row);
      while (chunks && !chunks->empty()) {
        events.clear();
        for (const LogChunk& chunk : *chunks) events += as_events(cutter.feed(chunk));
        if (!co_await write(events)) co_return;
        chunks = co_await follower.read(row);
      }
      if (chunks && row && (!follow || is_final(row->status))) {
        events.clear();
        if (const auto rest = cutter.flush()) events += as_events({*rest});
        if (is_final(row->status)) events += http::format_event("end", "", shown_run);
        (void)co_await write(events);  // whoever has gone does not miss the end
        co_return;
      }
      if (!co_await follower.wait(chunks && row ? kKeepAlive : kStorePause)) {
        if (!co_await write(": keep-alive\n\n")) co_return;
      }
    }
  };
}

}  // namespace provisioner::server
