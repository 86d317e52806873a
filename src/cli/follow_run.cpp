#include "cli/follow_run.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "cli/listing.hpp"
#include "cli/progress_line.hpp"
#include "cli/terminal.hpp"
#include "http/message.hpp"
#include "runtime/clock.hpp"

namespace provisioner::cli {
namespace {

// A daemon that restarts is back within seconds; longer, and the user is told how to go on.
constexpr int kMostReconnects = 30;

std::string summary_of(const nlohmann::json& run) {
  const std::string job = text_of(run, "job");
  if (run["operation"] == "job") {
    return fmt::format("job {} of {} {}", job, text_of(run, "workspace"), text_of(run, "status"));
  }
  const auto& resources = run["resources"];
  return fmt::format("{} of {} {}: {} added, {} changed, {} destroyed",
                     run["operation"].get<std::string>(), run["workspace"].get<std::string>(),
                     run["status"].get<std::string>(), resources.value("add", 0),
                     resources.value("change", 0), resources.value("destroy", 0));
}

int finish(Session& session, const std::string& body) {
  const auto run = nlohmann::json::parse(body);
  const std::string status = run["status"];
  if (!session.printed(body)) {
    fmt::print(stderr, "{}\n", summary_of(run));
    if (run["error"].is_string())
      fmt::print(stderr, "error: {}\n", run["error"].get<std::string>());
  }
  return status == "succeeded" ? kDone : kFailed;
}

}  // namespace

int follow_run(Session& session, const std::string& id) {
  auto api = session.api();
  if (!api) return report(api.error());
  std::FILE* log = session.output == OutputFormat::kTable ? stdout : stderr;
  boost::asio::io_context unused_loop;
  const SystemClock clock(unused_loop.get_executor());
  ProgressLine progress(error_is_terminal(), clock.boot_now());

  std::string position;
  for (int reconnects = 0; reconnects < kMostReconnects; ++reconnects) {
    const std::string target =
        fmt::format("/api/v1/runs/{}/log?follow=true{}", http::encode_component(id),
                    position.empty() ? "" : "&after=" + http::encode_component(position));
    const auto followed = (*api)->follow(
        target,
        [&](std::string_view name, std::string_view at, std::string_view text) {
          if (name != "log") return name != "end";
          position = at;
          progress.clear();
          fmt::print(log, "{}\n", text);
          std::fflush(log);
          progress.take(text);
          progress.show(clock.boot_now());
          return true;
        },
        [&] { progress.show(clock.boot_now()); });
    progress.clear();
    if (!followed && followed.error().kind == ErrorKind::kCancelled) {
      fmt::print(stderr,
                 "detached: the run goes on. 'provisioner run logs {0} --follow' shows it, "
                 "'provisioner run cancel {0}' stops it\n",
                 id);
      return kDone;
    }
    if (!followed && followed.error().kind == ErrorKind::kNotFound) return report(followed.error());
    auto run = (*api)->get("/api/v1/runs/" + http::encode_component(id));
    if (run) {
      const std::string status = nlohmann::json::parse(*run)["status"];
      if (status != "queued" && status != "running") return finish(session, *run);
    }
    sleep(1);
  }
  return report({ErrorKind::kUnavailable,
                 fmt::format("the daemon cannot be reached any more; the run goes on if it lives. "
                             "Later: provisioner run show {}",
                             id)});
}

int print_log(Session& session, const std::string& id) {
  auto api = session.api();
  auto text = api ? (*api)->get("/api/v1/runs/" + http::encode_component(id) + "/log")
                  : Result<std::string>(std::unexpected(api.error()));
  if (!text) return report(text.error());
  fmt::print("{}", *text);
  return kDone;
}

}  // namespace provisioner::cli
