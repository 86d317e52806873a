#include "config/workspace_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.hpp"
#include "config/fingerprint.hpp"
#include "config/job_fields.hpp"
#include "config/json_document.hpp"
#include "config/workspace_fields.hpp"

namespace provisioner {
namespace {

using nlohmann::json;

constexpr std::string_view kKnownFields[] = {"enabled",
                                             "template",
                                             "deploy_schedule",
                                             "destroy_schedule",
                                             "mode_schedules",
                                             "timezone",
                                             "dst",
                                             "catch_up",
                                             "jobs",
                                             "custom_deploy",
                                             "variables",
                                             "environment",
                                             "custom_destroy",
                                             "include",
                                             "depends_on",
                                             "on_change",
                                             "ttl",
                                             "timeout",
                                             "retry",
                                             "description",
                                             "name",
                                             "tags"};

constexpr Duration kLongestTimeout = std::chrono::hours(24 * 7);
constexpr std::int64_t kMostRetries = 100;

void read_schedules(const json& document, WorkspaceSpec& spec, FileProblems& problems) {
  const auto member = [&](const char* field) {
    const auto found = document.find(field);
    return found == document.end() ? json() : *found;
  };
  const auto deploy = member("deploy_schedule");
  const auto modes = member("mode_schedules");
  read_schedule(deploy, "deploy_schedule", Action::kDeploy, "", spec.rules, problems);
  if (modes.is_object()) {
    if (!modes.empty() && !deploy.is_null() && deploy != false) {
      problems.error("mode_schedules",
                     "excludes deploy_schedule: keep one of them (deploy_schedule may be false)");
    }
    for (const auto& [mode, value] : modes.items()) {
      const auto field = fmt::format("mode_schedules.{}", mode);
      if (!parse_job_name(mode)) {
        problems.error(field,
                       "a mode's name begins with a letter or digit and holds letters, "
                       "digits, '.', '_' and '-'");
        continue;
      }
      read_schedule(value, field, Action::kDeploy, mode, spec.rules, problems);
    }
  } else if (!modes.is_null() && modes != false) {
    problems.error("mode_schedules",
                   fmt::format("expected an object such as {{\"busy\": \"0 8 * * MON-FRI\"}}, "
                               "found {}",
                               describe_json(modes)));
  }
  read_schedule(member("destroy_schedule"), "destroy_schedule", Action::kDestroy, "", spec.rules,
                problems);
}

void read_commands(const json& document, WorkspaceSpec& spec, FileProblems& problems) {
  struct Step {
    std::string_view object, field;
    std::optional<std::string>* command;
  };
  const Step steps[] = {{"custom_deploy", "init_command", &spec.commands.deploy_init},
                        {"custom_deploy", "plan_command", &spec.commands.deploy_plan},
                        {"custom_deploy", "apply_command", &spec.commands.deploy_apply},
                        {"custom_destroy", "init_command", &spec.commands.destroy_init},
                        {"custom_destroy", "destroy_command", &spec.commands.destroy_destroy}};
  for (const std::string_view name : {"custom_deploy", "custom_destroy"}) {
    const auto object = document.find(name);
    if (object == document.end() || object->is_null()) continue;
    if (!object->is_object()) {
      problems.error(
          name, fmt::format("expected an object of commands, found {}", describe_json(*object)));
      continue;
    }
    std::vector<std::string_view> known;
    for (const auto& step : steps) {
      if (step.object != name) continue;
      known.push_back(step.field);
      auto command = read_text(*object, name, step.field, problems);
      if (command && !trim(*command).empty()) *step.command = std::move(*command);
    }
    check_known_fields(*object, name, known, problems);
  }
}

void read_include(const json& document, WorkspaceSpec& spec, FileProblems& problems) {
  spec.include = read_texts(document, "", "include", problems);
  for (std::size_t i = 0; i < spec.include.size(); ++i) {
    const auto field = fmt::format("include[{}]", i);
    const std::filesystem::path path(spec.include[i]);
    const auto normal = path.lexically_normal();
    if (spec.include[i].empty() || path.is_absolute()) {
      problems.error(field,
                     "write a path relative to the workspace's folder, such as "
                     "\"../../modules\"");
    } else if (*normal.begin() != "..") {
      problems.error(field, "lies inside the workspace's folder, which is content anyway");
    } else if (std::ranges::all_of(normal,
                                   [](const auto& part) { return part == ".." || part.empty(); })) {
      problems.error(field,
                     "contains the workspace's folder itself: name the folder beside it "
                     "that belongs to the content");
    }
  }
}

void read_dependencies(const json& document, WorkspaceSpec& spec, FileProblems& problems) {
  const auto names = read_texts(document, "", "depends_on", problems);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto field = fmt::format("depends_on[{}]", i);
    auto name = parse_workspace_name(names[i]);
    if (!name) {
      problems.error(field, name.error().message);
    } else if (*name == spec.name) {
      problems.error(field, "is the workspace itself");
    } else if (std::ranges::find(spec.depends_on, *name) == spec.depends_on.end()) {
      spec.depends_on.push_back(std::move(*name));
    }
  }
}

void read_times(const json& document, WorkspaceSpec& spec, FileProblems& problems) {
  spec.ttl = read_duration(document, "", "ttl", problems);
  if (const auto timeout = read_duration(document, "", "timeout", problems)) {
    if (*timeout > kLongestTimeout) {
      problems.error("timeout", "must be at most 7d");
    }
    spec.timeout = *timeout;
  }
}

void read_retry(const json& document, WorkspaceSpec& spec, FileProblems& problems) {
  const auto retry = document.find("retry");
  if (retry == document.end() || retry->is_null()) return;
  if (!retry->is_object()) {
    problems.error("retry",
                   fmt::format("expected an object such as {{\"max_retries\": 0}}, found {}",
                               describe_json(*retry)));
    return;
  }
  static constexpr std::string_view kFields[] = {"max_retries"};
  check_known_fields(*retry, "retry", kFields, problems);
  const auto most = retry->find("max_retries");
  if (most == retry->end() || most->is_null()) return;
  if (!most->is_number_integer() || *most < 0 || *most > kMostRetries) {
    problems.error(
        "retry.max_retries",
        fmt::format("expected a whole number from 0 to {}, found {}", kMostRetries,
                    most->is_number() ? most->dump() : std::string(describe_json(*most))));
    return;
  }
  spec.max_retries = most->get<std::int64_t>();
}

void read_names(const json& document, WorkspaceSpec& spec, FileProblems& problems) {
  if (const auto name = read_text(document, "", "name", problems);
      name && *name != spec.name.value) {
    problems.error("name", fmt::format("{} differs from the folder's name \"{}\": rename one of "
                                       "them, or remove the field",
                                       quote(*name), spec.name.value));
  }
  spec.description = read_text(document, "", "description", problems).value_or("");
  spec.tags = read_texts(document, "", "tags", problems);
  spec.template_name = read_text(document, "", "template", problems);
  if (spec.template_name && spec.template_name->empty()) spec.template_name.reset();
  if (spec.template_name && !parse_job_name(*spec.template_name)) {
    problems.error("template",
                   fmt::format("{} is not a template's name", quote(*spec.template_name)));
  }
}

void check_timeline(const WorkspaceSpec& spec, FileProblems& problems) {
  if (spec.rules.size() < 2) return;
  // Which rules meet is judged by the calendar alone, so the cluster's zone is not needed.
  const auto zone = Zone::find(spec.timezone.value_or("UTC"));
  if (!zone) {
    problems.error("timezone", zone.error().message);
    return;
  }
  for (const auto& conflict : Timeline(spec.rules, *zone, spec.dst).conflicts()) {
    if (conflict.is_error) {
      problems.error("", conflict.message);
    } else {
      problems.warning("", conflict.message);
    }
  }
}

json values_json(const ConfigValues& values) {
  json object = json::object();
  for (const auto& [name, value] : values) {
    object[name] = json::array({static_cast<int>(value.source), value.text});
  }
  return object;
}

std::string inputs_hash(const WorkspaceSpec& spec) {
  const auto command = [](const std::optional<std::string>& text) {
    return text ? json(*text) : json();
  };
  const auto& c = spec.commands;
  const json inputs = {
      {"variables", values_json(spec.variables)},
      {"environment", values_json(spec.environment)},
      {"deploy", {command(c.deploy_init), command(c.deploy_plan), command(c.deploy_apply)}},
      {"destroy", {command(c.destroy_init), command(c.destroy_destroy)}},
      {"template", spec.template_name.value_or("")},
      {"include", spec.include}};
  return sha256_hex(inputs.dump());
}

std::string schedule_hash(const WorkspaceSpec& spec) {
  json rules = json::array();
  for (const auto& rule : spec.rules) {
    rules.push_back({rule.label, to_string(rule.action), rule.mode, rule.cron.text()});
  }
  const json schedule = {{"rules", std::move(rules)},
                         {"timezone", spec.timezone.value_or("")},
                         {"gap", static_cast<int>(spec.dst.gap)},
                         {"overlap", static_cast<int>(spec.dst.overlap)},
                         {"catch_up", static_cast<int>(spec.catch_up)},
                         {"enabled", spec.enabled}};
  return sha256_hex(schedule.dump());
}

}  // namespace

Status check_config_size(std::string_view text, std::string_view file_label) {
  if (text.size() <= kMostConfigBytes) return {};
  return fail(ErrorKind::kInvalid,
              fmt::format("{}: {:.1f} MB are too much for a configuration: at most 1 MB is read",
                          file_label, static_cast<double>(text.size()) / (1024.0 * 1024.0)));
}

Result<ParsedWorkspace> parse_workspace(const WorkspaceName& name, std::string_view text,
                                        std::string_view file_label) {
  if (auto good = check_config_size(text, file_label); !good) return std::unexpected(good.error());
  const auto document = parse_json_object(text);
  if (!document) return fail(file_label, document.error());

  FileProblems problems(file_label);
  WorkspaceSpec spec;
  spec.name = name;
  check_known_fields(*document, "", kKnownFields, problems);
  read_flag(*document, "", "enabled", spec.enabled, problems);
  read_names(*document, spec, problems);
  read_schedules(*document, spec, problems);
  read_zone_and_dst(*document, spec, problems);
  static constexpr std::string_view kCatchUp[] = {"latest", "none"};
  if (const auto choice = read_choice(*document, "", "catch_up", kCatchUp, problems)) {
    spec.catch_up = static_cast<CatchUp>(*choice);
  }
  static constexpr std::string_view kOnChange[] = {"redeploy", "next_schedule", "ignore", "force"};
  if (const auto choice = read_choice(*document, "", "on_change", kOnChange, problems)) {
    spec.on_change = static_cast<OnChange>(*choice);
  }
  read_commands(*document, spec, problems);
  spec.variables = read_values(*document, "", "variables", ValuesOf::kVariables, problems);
  spec.environment = read_values(*document, "", "environment", ValuesOf::kEnvironment, problems);
  read_include(*document, spec, problems);
  read_dependencies(*document, spec, problems);
  read_times(*document, spec, problems);
  read_retry(*document, spec, problems);
  read_jobs(*document, spec, problems);
  if (!spec.modes().empty() && spec.variables.contains("deployment_mode")) {
    problems.error("variables.deployment_mode", "is set by the mode of mode_schedules");
  }
  if (!problems.has_errors()) check_timeline(spec, problems);
  if (problems.has_errors()) {
    return fail(ErrorKind::kInvalid, join(problems.errors(), "\n"));
  }
  ParsedWorkspace parsed;
  parsed.normalised_json = document->dump();
  parsed.inputs_hash = inputs_hash(spec);
  parsed.schedule_hash = schedule_hash(spec);
  parsed.warnings = std::move(problems.warnings());
  parsed.spec = std::move(spec);
  return parsed;
}

}  // namespace provisioner
