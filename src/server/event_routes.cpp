#include <fmt/format.h>

#include <charconv>

#include "http/event_stream.hpp"
#include "runtime/signal.hpp"
#include "server/replies.hpp"

namespace provisioner::server {
namespace {

constexpr Duration kKeepAlive = std::chrono::seconds(15);

// "<daemon's start>:<number>"; a number of another daemon means nothing here.
std::optional<std::uint64_t> parse_id(const std::string& id, const std::string& epoch) {
  if (!id.starts_with(epoch + ":")) return std::nullopt;
  std::uint64_t number = 0;
  const char* const begin = id.data() + epoch.size() + 1;
  const char* const end = id.data() + id.size();
  const auto [at, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || at != end) return std::nullopt;
  return number;
}

// The present row behind a change. What is gone by now becomes `removed`.
// "" for what the scope hides.
Task<std::string> event_of(Services& services, const WorkspaceScope& scope, Change change,
                           std::string id) {
  Store& store = services.parts.store;
  switch (change.topic) {
    case Change::Topic::kWorkspace: {
      if (!scope.contains(WorkspaceName(change.key))) co_return "";
      Result<Workspace> row = co_await store.workspace(WorkspaceName(change.key));
      if (!row && row.error().kind == ErrorKind::kNotFound) {
        co_return http::format_event("removed", id, change.key);
      }
      if (!row) co_return "";
      const auto view = co_await view_of(services, std::move(*row));
      co_return view ? http::format_event("workspace", id, render(*view)) : "";
    }
    case Change::Topic::kRun:
    case Change::Topic::kCancel: {
      const Result<Run> run = co_await store.run(RunId(change.key));
      const bool is_shown = run && scope.contains(run->workspace);
      co_return is_shown ? http::format_event("run", id, render(*run)) : "";
    }
    case Change::Topic::kLeadership: {
      const Result<Leadership> leadership = co_await store.leadership();
      if (!leadership) co_return "";
      co_return http::format_event(
          "leadership", id,
          render_leadership(*leadership, services.parts.instance, services.parts.leader().leads));
    }
    case Change::Topic::kTemplate: {
      const auto row = co_await store.template_named(TemplateName(change.key));
      if (!row && row.error().kind == ErrorKind::kNotFound) {
        co_return http::format_event("template_removed", id, change.key);
      }
      if (!row) co_return "";
      const auto workspaces = co_await store.workspaces();
      if (!workspaces) co_return "";
      co_return http::format_event("template", id,
                                   render(*row, visible_users(*row, *workspaces, scope)));
    }
    case Change::Topic::kLog: break;
  }
  co_return "";
}

Task<> send_events(Services& services, WorkspaceScope scope, std::string last_id,
                   http::WriteChunk write) {
  Signal changed(co_await boost::asio::this_coro::executor);
  const auto listening = services.feed.listen(changed);
  Clock& clock = services.parts.clock;
  const auto id_of = [&](std::uint64_t number) {
    return fmt::format("{}:{}", services.feed_epoch, number);
  };
  std::optional<std::uint64_t> seen = parse_id(last_id, services.feed_epoch);
  if (last_id.empty()) {
    // The beginning: says from where the reader can resume.
    seen = services.feed.newest();
    if (!co_await write(http::format_event("hello", id_of(*seen), "{}"))) co_return;
  }
  for (;;) {
    const auto news = seen ? services.feed.after(*seen) : std::nullopt;
    if (!news) {
      // Too long ago, or another daemon's: the reader has to fetch the lists again.
      seen = services.feed.newest();
      if (!co_await write(http::format_event("resync", id_of(*seen), "{}"))) co_return;
      continue;
    }
    for (std::size_t i = 0; i < news->changes.size(); ++i) {
      // Only the last event of a batch carries the id: resuming in between repeats the batch.
      const bool last = i + 1 == news->changes.size();
      const std::string event =
          co_await event_of(services, scope, news->changes[i], last ? id_of(news->until) : "");
      if (!co_await write(event)) co_return;
    }
    seen = news->until;
    if (!co_await changed.wait_until(clock, clock.boot_now() + kKeepAlive)) {
      if (!co_await write(": keep-alive\n\n")) co_return;
    }
  }
}

}  // namespace

Task<Reply> stream_events(Services& services, Call call) {
  std::string last_id = call.request.header("Last-Event-ID");
  if (const auto query = call.request.query("after")) last_id = *query;
  http::Response response;
  response.headers["Content-Type"] = "text/event-stream";
  response.headers["Cache-Control"] = "no-store";
  response.farewell = http::kComeBackSoon;
  response.stream = [&services, scope = call.caller.scope,
                     last_id](http::WriteChunk write) -> Task<> {
    co_await send_events(services, scope, last_id, std::move(write));
  };
  co_return response;
}

}  // namespace provisioner::server
