#include "execution/assignment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/placeholders.hpp"
#include "runner/attempt_directory.hpp"
#include "tofu/variables.hpp"

namespace provisioner::execution {
namespace {

Result<std::string> read_secret(const std::string& name, const ConfigValue& value,
                                std::string_view field, const SecretSources& sources) {
  const auto missing = [&](std::string_view why) {
    return fail(ErrorKind::kInvalid, fmt::format("{}.{}: {}", field, name, why));
  };
  if (value.source == ConfigValue::Source::kEnv) {
    const auto found = sources.environment->find(value.text);
    if (found == sources.environment->end()) {
      return missing(fmt::format("{} has no variable {}", sources.whose, value.text));
    }
    return found->second;
  }
  auto text = sources.read_file(sources.base / value.text);
  if (!text) return missing(text.error().message);
  if (text->ends_with('\n')) text->pop_back();
  if (text->ends_with('\r')) text->pop_back();
  return text;
}

// An environment holds texts: a JSON string gives its characters, everything else its JSON.
std::string as_text(const std::string& json) {
  const auto value = nlohmann::json::parse(json, nullptr, false);
  return value.is_string() ? value.get<std::string>() : json;
}

// Variables that would make tofu keep its state elsewhere than where we look for it.
Status check_environment(const ConfigValues& environment, bool own_backend) {
  constexpr std::array<std::string_view, 4> kNever = {"TF_DATA_DIR", "RUN_ID", "WORKSPACE_ID",
                                                      "WORKSPACE_DEPLOYMENT_DIR"};
  for (const auto& [name, value] : environment) {
    const bool of_our_backend = name.starts_with("TF_HTTP_") || name == "TF_WORKSPACE";
    if (std::ranges::find(kNever, name) != kNever.end() || name.starts_with("PROVISIONER_") ||
        (of_our_backend && !own_backend)) {
      return fail(
          ErrorKind::kInvalid,
          fmt::format("environment.{}: this variable is set by the daemon: remove it", name));
    }
  }
  return {};
}

// More is cut. A job that prints without end must not fill the store.
constexpr std::int64_t kJobLogLimit = 10ll * 1024 * 1024;
// A script that heeds the SIGINT needs less than a tofu that writes its state.
constexpr Duration kJobStopAllowance = std::chrono::seconds(10);

std::vector<PlaceholderValue> values_of(const Run& run) {
  return {{"workspace_name", shown_workspace(run.workspace)},
          {"job_name", run.job.value},
          {"run_id", run.id.value},
          {"mode", run.mode},
          {"trigger", std::string(to_string(run.trigger))}};
}

// The definition of a job's run holds this one alone.
Result<const JobSpec*> job_of(const Run& run, const WorkspaceSpec& spec) {
  const auto found = std::ranges::find(spec.jobs, run.job, &JobSpec::name);
  if (found != spec.jobs.end()) return &*found;
  return fail(ErrorKind::kInvalid,
              fmt::format("the definition of this run holds no job {}", run.job.value));
}

// Only what stands in the file is filled in: a secret is passed on as it is.
Result<ResolvedValues> job_environment(const JobSpec& job, const Run& run,
                                       const SecretSources& sources) {
  if (auto ok = check_environment(job.environment, false); !ok) return std::unexpected(ok.error());
  ConfigValues values = job.environment;
  for (auto& [name, value] : values) {
    if (!value.is_secret()) value.text = fill_placeholders(value.text, values_of(run));
  }
  return resolve_values(values, fmt::format("jobs.{}.environment", job.name.value), sources);
}

void describe_work(const JobSpec& job, const Run& run, const Settings& settings,
                   runner::Assignment& assignment) {
  runner::JobWork work{.name = job.name};
  if (job.type == JobType::kScript) {
    work.script = job.body;
  } else {
    work.command = fill_placeholders(job.body, values_of(run));
  }
  work.working_dir = fill_placeholders(job.working_dir, values_of(run));
  assignment.job = std::move(work);
  assignment.own_backend = true;  // no state of ours is in its reach
  assignment.log_limit = kJobLogLimit;
  assignment.stop_allowance = std::min(settings.runs.stop_allowance, kJobStopAllowance);
}

}  // namespace

Result<ResolvedValues> resolve_values(const ConfigValues& values, std::string_view field,
                                      const SecretSources& sources) {
  ResolvedValues resolved;
  for (const auto& [name, value] : values) {
    if (!value.is_secret()) {
      resolved.json.emplace(name, value.text);
      continue;
    }
    auto secret = read_secret(name, value, field, sources);
    if (!secret) return std::unexpected(secret.error());
    const auto as_json = [&] {
      return nlohmann::json(*secret).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    };
    resolved.json.emplace(name, as_json());
    resolved.secrets.push_back(std::move(*secret));
  }
  return resolved;
}

std::vector<std::string> readable_secrets(const ConfigValues& values,
                                          const SecretSources& sources) {
  std::vector<std::string> secrets;
  for (const auto& [name, value] : values) {
    if (!value.is_secret()) continue;
    auto secret = read_secret(name, value, "", sources);
    if (secret) secrets.push_back(std::move(*secret));
  }
  return secrets;
}

std::vector<std::string> masks_of(const std::vector<std::string>& secrets) {
  constexpr std::size_t kShortest = 3;
  std::set<std::string> masks;
  const auto add = [&](std::string text) {
    if (text.size() >= kShortest) masks.insert(std::move(text));
  };
  for (const auto& secret : secrets) {
    for (const auto line : split(secret, '\n')) {
      add(std::string(trim(line)));
      std::string quoted =
          nlohmann::json(line).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
      add(quoted.substr(1, quoted.size() - 2));
    }
    add(secret);
  }
  // Longest first: a mask must not spoil a longer one that contains it.
  std::vector<std::string> longest_first(masks.begin(), masks.end());
  std::ranges::sort(longest_first, [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  return longest_first;
}

Result<runner::Assignment> make_assignment(const AssignmentInputs& inputs) {
  const Run& run = inputs.run;
  const WorkspaceSpec& spec = inputs.spec;
  const Settings& settings = *inputs.settings;
  if (auto ok = check_environment(spec.environment, inputs.content.own_backend); !ok) {
    return std::unexpected(ok.error());
  }
  auto variables = resolve_values(spec.variables, "variables", inputs.secrets);
  if (!variables) return std::unexpected(variables.error());
  auto environment = resolve_values(spec.environment, "environment", inputs.secrets);
  if (!environment) return std::unexpected(environment.error());

  const JobSpec* job = nullptr;
  ResolvedValues own;
  if (!run.job.empty()) {
    auto found = job_of(run, spec);
    if (!found) return std::unexpected(found.error());
    job = *found;
    auto resolved = job_environment(*job, run, inputs.secrets);
    if (!resolved) return std::unexpected(resolved.error());
    own = std::move(*resolved);
  }
  const bool is_script = run.operation == Operation::kJob;
  if (is_script && job == nullptr) return fail(ErrorKind::kInvalid, "this run names no job");

  runner::Assignment assignment;
  assignment.workspace = run.workspace;
  assignment.operation = run.operation;
  assignment.binary = inputs.binary;
  assignment.commands = spec.commands;
  assignment.environment =
      child_environment(*inputs.environment, is_script ? std::span<const std::string>()
                                                       : std::span(settings.environment.pass));
  // What tofu and its children record joins the trace of the run.
  assignment.environment["TRACEPARENT"] = format_traceparent(run.correlation_id, span_of(run.id));
  for (const auto& [name, json] : environment->json) assignment.environment[name] = as_text(json);
  for (const auto& [name, json] : own.json) assignment.environment[name] = as_text(json);
  assignment.environment["WORKSPACE_ID"] = shown_workspace(run.workspace);
  if (job != nullptr) assignment.environment["JOB_NAME"] = job->name.value;

  const bool takes_mode =
      !run.mode.empty() && inputs.content.variables.contains(std::string(tofu::kModeVariable));
  // A template takes what it declares of the workspace's variables.
  if (job != nullptr) {
    std::erase_if(variables->json, [&](const auto& variable) {
      return !inputs.content.variables.contains(variable.first);
    });
  }
  if (!is_script && (!variables->json.empty() || takes_mode)) {
    auto text = tofu::variable_file(variables->json, run.mode, inputs.content.variables);
    if (!text) return std::unexpected(text.error());
    assignment.variables = std::move(*text);
  }
  std::vector<std::string> secrets = std::move(variables->secrets);
  std::ranges::move(environment->secrets, std::back_inserter(secrets));
  std::ranges::move(own.secrets, std::back_inserter(secrets));
  assignment.masks = masks_of(secrets);

  assignment.needs_agreement = run.needs_agreement() && spec.on_change != OnChange::kForce;
  assignment.upgrade = run.upgrade;
  assignment.own_backend = inputs.content.own_backend;
  assignment.cache_directory = runner::cache_directory(settings.state_dir, slot_of(run)).string();
  assignment.plugin_cache_directory = settings.tofu.plugin_cache.string();
  assignment.timeout = job != nullptr ? job->timeout : spec.timeout;
  assignment.lease = settings.runs.lease;
  assignment.heartbeat = settings.runs.heartbeat;
  assignment.stop_allowance = settings.runs.stop_allowance;
  if (is_script) describe_work(*job, run, settings, assignment);
  return assignment;
}

}  // namespace provisioner::execution
