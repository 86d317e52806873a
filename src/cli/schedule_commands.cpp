// schedule preview | explain
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/ids.hpp"
#include "cli/exit_code.hpp"
#include "cli/listing.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "http/message.hpp"
#include "runtime/clock.hpp"
#include "schedule/cron.hpp"
#include "schedule/timeline.hpp"
#include "schedule/zone.hpp"

namespace provisioner::cli {
namespace {

constexpr std::size_t kDefaultCount = 20;
constexpr std::size_t kMostPoints = 10'000;

struct PreviewOptions {
  std::string workspace;
  std::string cron;
  std::string timezone;
  std::string gap = "shift";
  std::string overlap = "first";
  std::string from;
  std::string to;
  std::size_t count = 0;
};

Result<DstPolicy> parse_policy(const PreviewOptions& options) {
  DstPolicy policy;
  if (options.gap == "skip") {
    policy.gap = DstPolicy::Gap::kSkip;
  } else if (options.gap != "shift") {
    return fail(ErrorKind::kInvalid,
                fmt::format("--gap: \"{}\" is neither shift nor skip", options.gap));
  }
  if (options.overlap == "last") {
    policy.overlap = DstPolicy::Overlap::kLast;
  } else if (options.overlap == "both") {
    policy.overlap = DstPolicy::Overlap::kBoth;
  } else if (options.overlap != "first") {
    return fail(ErrorKind::kInvalid,
                fmt::format("--overlap: \"{}\" is neither first, last nor both", options.overlap));
  }
  return policy;
}

// The preview of a bare expression, without a daemon, as the API's JSON.
Result<std::string> preview_expression(const PreviewOptions& options, Instant now) {
  auto cron = CronExpression::parse(options.cron);
  if (!cron) return fail("--cron", cron.error());
  std::string zone_name = options.timezone;
  if (zone_name.empty()) {
    auto system = system_zone_name();
    if (!system) return fail("--timezone is needed", system.error());
    zone_name = *system;
  }
  auto zone = Zone::find(zone_name);
  if (!zone) return fail("--timezone", zone.error());
  auto policy = parse_policy(options);
  if (!policy) return std::unexpected(policy.error());

  Instant from = now;
  if (!options.from.empty()) {
    auto parsed = parse_rfc3339(options.from);
    if (!parsed) return fail("--from", parsed.error());
    from = *parsed;
  }
  const Timeline timeline({{"cron", Action::kDeploy, "", *cron}}, *zone, *policy);
  // --from is part of the interval, so that a day can be asked for by its first instant.
  Instant position = from - Duration(1);
  std::optional<Instant> to;
  if (!options.to.empty()) {
    auto parsed = parse_rfc3339(options.to);
    if (!parsed) return fail("--to", parsed.error());
    to = *parsed;
  }
  const std::size_t limit = options.count > 0 ? options.count : to ? kMostPoints : kDefaultCount;

  auto points = nlohmann::ordered_json::array();
  while (points.size() < std::min(limit, kMostPoints)) {
    auto next = timeline.next(position);
    if (!next) return std::unexpected(next.error());
    if (!*next || (to && (*next)->at > *to)) break;
    position = (*next)->at;
    points.push_back({{"at", format_rfc3339(position)},
                      {"local_time", timeline.local_time(position)},
                      {"timezone", zone_name},
                      {"action", nullptr},
                      {"schedule", options.cron}});
  }
  return points.dump();
}

Result<std::string> preview_workspace(const PreviewOptions& options, Session& session) {
  auto api = session.api();
  if (!api) return std::unexpected(api.error());
  std::string query;
  const auto add = [&](std::string_view name, const std::string& value) {
    if (value.empty()) return;
    query += fmt::format("{}{}={}", query.empty() ? '?' : '&', name, http::encode_component(value));
  };
  add("from", options.from);
  add("to", options.to);
  add("count", options.count == 0 ? "" : std::to_string(options.count));
  const std::size_t colon = options.workspace.find(':');
  const std::string workspace = http::encode_component(options.workspace.substr(0, colon));
  if (colon == std::string::npos) {
    return (*api)->get(fmt::format("/api/v1/workspaces/{}/schedule{}", workspace, query));
  }
  return (*api)->get(fmt::format("/api/v1/jobs/{}/{}/schedule{}", workspace,
                                 http::encode_component(options.workspace.substr(colon + 1)),
                                 query));
}

void print_points(const std::string& json) {
  const auto points = nlohmann::json::parse(json);
  std::vector<std::vector<Cell>> rows;
  for (const auto& point : points) {
    rows.push_back({{point["local_time"].get<std::string>()},
                    {point["timezone"].get<std::string>()},
                    {point["action"].is_string() ? point["action"].get<std::string>() : ""},
                    {text_of(point, "job")},
                    {point["schedule"].get<std::string>()},
                    {point["at"].get<std::string>(), Tint::kDim}});
  }
  fmt::print("{}", render_table({"LOCAL TIME", "ZONE", "ACTION", "JOB", "SCHEDULE", "UTC"}, rows,
                                output_has_colour()));
}

void preview(const PreviewOptions& options, Session& session) {
  if (options.workspace.empty() == options.cron.empty()) {
    session.code = report(
        {ErrorKind::kInvalid, "say which workspace to preview, or give an expression with --cron"});
    return;
  }
  boost::asio::io_context unused_loop;
  const auto json =
      options.cron.empty()
          ? preview_workspace(options, session)
          : preview_expression(options, SystemClock(unused_loop.get_executor()).now());
  if (!json) {
    session.code = report(json.error());
  } else if (!session.printed(*json)) {
    print_points(*json);
  }
}

void explain_expression(const std::string& text, Session& session) {
  const auto cron = CronExpression::parse(text);
  if (!cron) {
    session.code = report(cron.error());
    return;
  }
  const std::string words = explain(*cron);
  const nlohmann::ordered_json json = {{"expression", text}, {"explanation", words}};
  if (!session.printed(json.dump())) fmt::print("{}\n", words);
}

}  // namespace

void add_schedule_commands(CLI::App& noun, Session& session) {
  auto* preview_command =
      noun.add_subcommand("preview", "list what a workspace's schedule, or an expression, will do");
  auto options = std::make_shared<PreviewOptions>();
  preview_command
      ->add_option("workspace", options->workspace,
                   "its name, with its jobs; or one job: workspace:job, _standalone_:job")
      ->type_name("")
      ->check(CLI::Validator(
          [](const std::string& text) {
            if (text.contains(':')) return std::string();
            const auto name = parse_workspace_name(text);
            return name ? std::string() : name.error().message;
          },
          ""));
  preview_command->add_option("--cron", options->cron, "an expression; needs no daemon")
      ->type_name("EXPRESSION");
  preview_command->add_option("--timezone", options->timezone, "with --cron; default the system's")
      ->type_name("ZONE");
  preview_command->add_option("--gap", options->gap, "with --cron: shift (default) or skip")
      ->type_name("");
  preview_command
      ->add_option("--overlap", options->overlap, "with --cron: first (default), last or both")
      ->type_name("");
  preview_command
      ->add_option("--from", options->from, "an instant such as 2026-03-29T00:00:00Z; default now")
      ->type_name("TIME");
  preview_command->add_option("--to", options->to, "up to and with this instant")
      ->type_name("TIME");
  preview_command->add_option("--count", options->count, "default 20 without --to")
      ->check(CLI::Range(std::size_t{1}, kMostPoints).description(""))
      ->type_name("N");
  add_output_option(*preview_command, session);
  preview_command->callback([options, &session] { preview(*options, session); });

  auto* explain_command = noun.add_subcommand("explain", "say in words when an expression fires");
  auto expression = std::make_shared<std::string>();
  explain_command->add_option("expression", *expression, "five fields in quotes, or @daily")
      ->required()
      ->type_name("");
  add_output_option(*explain_command, session);
  explain_command->callback([expression, &session] { explain_expression(*expression, session); });
}

}  // namespace provisioner::cli
