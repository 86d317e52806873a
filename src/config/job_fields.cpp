#include "config/job_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.hpp"
#include "config/fingerprint.hpp"
#include "config/json_document.hpp"
#include "config/placeholders.hpp"
#include "model/job_order.hpp"

namespace provisioner {
namespace {

using nlohmann::json;

constexpr std::string_view kKnownFields[] = {
    "name",        "type",    "schedule",    "script",         "command", "template",
    "environment", "enabled", "working_dir", "timeout",        "overlap", "description",
    "depends_on",  "tags",    "catch_up",    "catch_up_window"};
constexpr std::string_view kBodies[] = {"script", "command", "template"};  // as JobType orders them

constexpr Duration kLongestTimeout = std::chrono::hours(24 * 7);
constexpr Duration kLongestCatchUp = std::chrono::hours(24 * 7);

bool has(const json& job, std::string_view field) {
  const auto found = job.find(field);
  return found != job.end() && !found->is_null();
}

std::string member_path(std::string_view path, std::string_view field) {
  return path.empty() ? std::string(field) : fmt::format("{}.{}", path, field);
}

// One job of a file. `path` is where it stands: "jobs[2]", "" in a file of its own.
class JobReader {
 public:
  JobReader(const json& job, std::string path, FileProblems& problems)
      : job_(job), path_(std::move(path)), problems_(problems) {}

  JobSpec read(const WorkspaceName& workspace) {
    check_known_fields(job_, path_, kKnownFields, problems_);
    read_name();
    read_body();
    read_schedule();
    read_flag(job_, path_, "enabled", spec_.enabled, problems_);
    spec_.environment = read_values(job_, path_, "environment", ValuesOf::kEnvironment, problems_);
    check_environment();
    read_working_dir(is_standalone(workspace));
    read_times();
    read_policies();
    spec_.description = read_text(job_, path_, "description", problems_).value_or("");
    spec_.tags = read_texts(job_, path_, "tags", problems_);
    for (auto& name : read_texts(job_, path_, "depends_on", problems_)) {
      spec_.depends_on.emplace_back(std::move(name));
    }
    return std::move(spec_);
  }

 private:
  std::string at(std::string_view field) const { return member_path(path_, field); }

  void read_name() {
    const auto name = read_text(job_, path_, "name", problems_);
    if (!name) {
      if (!has(job_, "name")) problems_.error(path_, "has no name");
      return;
    }
    if (auto good = parse_job_name(*name)) {
      spec_.name = std::move(*good);
    } else {
      problems_.error(at("name"), good.error().message);
    }
  }

  // The type may be left out where the body says it.
  void read_body() {
    auto type = read_choice(job_, path_, "type", kBodies, problems_);
    if (!type && has(job_, "type")) return;
    if (!type) {
      for (std::size_t i = 0; i < std::size(kBodies); ++i) {
        if (!has(job_, kBodies[i])) continue;
        if (type) {
          problems_.error(path_, fmt::format("has both \"{}\" and \"{}\": keep one of them",
                                             kBodies[*type], kBodies[i]));
          return;
        }
        type = i;
      }
    }
    if (!type) {
      problems_.error(path_, "does nothing: give it a \"command\", a \"script\" or a \"template\"");
      return;
    }
    spec_.type = static_cast<JobType>(*type);
    const auto field = kBodies[*type];
    if (!has(job_, field)) {
      problems_.error(path_, fmt::format("is a {0} job without a \"{0}\"", field));
      return;
    }
    const auto body = read_text(job_, path_, field, problems_);
    if (!body) return;
    if (trim(*body).empty()) {
      problems_.error(at(field), "is empty");
    } else if (spec_.type == JobType::kTemplate && !parse_job_name(*body)) {
      problems_.error(at(field), fmt::format("{} is not a template's name", quote(*body)));
    } else if (spec_.type == JobType::kCommand) {
      check_placeholders_of(field, *body);
    }
    spec_.body = *body;
    for (const auto other : kBodies) {
      if (other == field || !has(job_, other)) continue;
      problems_.warning(at(other), fmt::format("is ignored: this is a {} job", field));
    }
  }

  void read_schedule() {
    const auto schedule = job_.find("schedule");
    if (schedule == job_.end()) return;
    const auto label = fmt::format("jobs.{}.schedule", spec_.name.value);
    if (schedule->is_array()) {
      for (std::size_t i = 0; i < schedule->size(); ++i) {
        const auto field = fmt::format("{}[{}]", at("schedule"), i);
        const auto& item = (*schedule)[i];
        if (item.is_string()) {
          read_schedule_item(item, field, fmt::format("{}[{}]", label, i));
        } else {
          problems_.error(field, fmt::format("expected a cron expression or an event such as "
                                             "\"@deployment\", found {}",
                                             describe_json(item)));
        }
      }
    } else if (schedule->is_string()) {
      read_schedule_item(*schedule, at("schedule"), label);
    } else if (!schedule->is_null() && *schedule != false) {
      problems_.error(at("schedule"),
                      fmt::format("expected a cron expression, an event such as \"@deployment\", "
                                  "an array of them or false, found {}",
                                  describe_json(*schedule)));
    }
  }

  void read_schedule_item(const json& item, const std::string& field, std::string label) {
    const auto& text = item.get_ref<const std::string&>();
    if (const auto event = parse_job_event(trim(text))) {
      if (!spec_.events.insert(*event).second) {
        problems_.warning(field, fmt::format("names {} once more", to_string(*event)));
      }
      return;
    }
    if (trim(text).empty()) {
      problems_.warning(field, "is empty and counts as false (only by hand)");
      return;
    }
    auto cron = CronExpression::parse(text);
    if (!cron) {
      std::string message = cron.error().message;
      // Perhaps a misspelt event, of which a cron expression knows nothing.
      if (trim(text).starts_with('@')) {
        message +=
            "; events are @deployment, @deployment-failed, @destroy, @destroy-failed and @reboot";
      }
      problems_.error(field, message);
      return;
    }
    spec_.rules.push_back(
        {.label = std::move(label), .action = Action::kRun, .mode = "", .cron = std::move(*cron)});
  }

  void check_environment() {
    for (const auto& [name, value] : spec_.environment) {
      const auto field = fmt::format("{}.{}", at("environment"), name);
      if (name == "JOB_NAME") problems_.error(field, "is set by the daemon itself: remove it");
      if (!value.is_secret()) check_placeholders_of("environment." + name, value.text);
    }
  }

  void check_placeholders_of(std::string_view field, std::string_view text) {
    if (const auto good = check_placeholders(text); !good) {
      problems_.error(at(field), good.error().message);
    }
  }

  void read_working_dir(bool standalone) {
    namespace fs = std::filesystem;
    const auto text = read_text(job_, path_, "working_dir", problems_);
    if (!text || text->empty()) return;
    check_placeholders_of("working_dir", *text);
    const fs::path path(*text);
    if (standalone) {
      if (!path.is_absolute()) {
        problems_.error(at("working_dir"),
                        "write an absolute path: a standalone job has no folder of its own");
      }
      spec_.working_dir = path.lexically_normal().string();
      return;
    }
    if (spec_.type == JobType::kTemplate) {
      problems_.warning(at("working_dir"), "is ignored: a template job works in its template");
      return;
    }
    if (path.is_absolute()) {
      problems_.error(at("working_dir"), "write a path relative to the workspace's folder");
    } else if (std::ranges::find(path, fs::path("..")) != path.end()) {
      problems_.error(at("working_dir"), "leads out of the workspace's folder (\"..\")");
    }
    auto normal = path.lexically_normal().string();
    while (normal.ends_with('/')) normal.pop_back();
    spec_.working_dir = normal == "." ? "" : std::move(normal);
  }

  void read_times() {
    if (const auto timeout = read_duration(job_, path_, "timeout", problems_)) {
      if (*timeout > kLongestTimeout) problems_.error(at("timeout"), "must be at most 7d");
      spec_.timeout = *timeout;
    }
    if (const auto window = read_duration(job_, path_, "catch_up_window", problems_)) {
      if (*window > kLongestCatchUp) problems_.error(at("catch_up_window"), "must be at most 7d");
      spec_.catch_up_window = *window;
    }
  }

  void read_policies() {
    static constexpr std::string_view kOverlaps[] = {"skip", "queue", "allow"};
    static constexpr std::string_view kCatchUps[] = {"latest", "all", "none"};
    if (const auto choice = read_choice(job_, path_, "overlap", kOverlaps, problems_)) {
      spec_.overlap = static_cast<Overlap>(*choice);
    }
    if (const auto choice = read_choice(job_, path_, "catch_up", kCatchUps, problems_)) {
      spec_.catch_up = static_cast<JobCatchUp>(*choice);
    }
    if (spec_.type == JobType::kTemplate && spec_.overlap == Overlap::kAllow) {
      problems_.error(at("overlap"),
                      "\"allow\" is not for template jobs, whose runs share one state");
    }
    if (has(job_, "catch_up_window") && spec_.catch_up != JobCatchUp::kAll) {
      problems_.warning(at("catch_up_window"), "has no effect without \"catch_up\": \"all\"");
    }
  }

  const json& job_;
  std::string path_;
  FileProblems& problems_;
  JobSpec spec_;
};

// A destroyed workspace has nothing left that a deployment inside it could stand on.
void check_events(const JobSpec& job, const std::string& path, const WorkspaceName& workspace,
                  FileProblems& problems) {
  const auto field = member_path(path, "schedule");
  for (const JobEvent event : job.events) {
    const bool of_destroy = event == JobEvent::kDestroy || event == JobEvent::kDestroyFailed;
    if (is_standalone(workspace) && event != JobEvent::kReboot) {
      problems.error(field, fmt::format("{} is an event of a workspace: a standalone job knows "
                                        "cron expressions and @reboot",
                                        to_string(event)));
    } else if (job.type == JobType::kTemplate && of_destroy) {
      problems.error(field, fmt::format("{} is not for template jobs: they are destroyed before "
                                        "their workspace",
                                        to_string(event)));
    }
  }
}

void check_standalone(const JobSpec& job, const std::string& path, FileProblems& problems) {
  if (job.type == JobType::kTemplate) {
    problems.error(member_path(path, "type"),
                   "a template job is a deployment inside a workspace: write it into the \"jobs\" "
                   "of one");
  }
  if (!job.depends_on.empty()) {
    problems.error(member_path(path, "depends_on"),
                   "a standalone job has no others to wait for: jobs of one workspace do");
  }
}

// What of the workspace's file reaches the processes of this job, and no more.
std::string definition_of(const json& document, const json& job, const JobSpec& spec) {
  json kept = json::object();
  for (const char* field : {"name", "type", "environment", "working_dir", "timeout"}) {
    if (has(job, field)) kept[field] = job[field];
  }
  const auto body = std::string(kBodies[static_cast<std::size_t>(spec.type)]);
  kept[body] = spec.body;
  kept["name"] = spec.name.value;  // a file of its own may leave it out
  json definition = {{"jobs", json::array({std::move(kept)})}};
  if (has(document, "environment")) definition["environment"] = document["environment"];
  if (spec.type == JobType::kTemplate) {
    for (const char* field : {"variables", "on_change", "retry"}) {
      if (has(document, field)) definition[field] = document[field];
    }
  }
  return definition.dump();
}

std::string schedule_hash_of(const JobSpec& job, const WorkspaceSpec& workspace) {
  json rules = json::array();
  for (const auto& rule : job.rules) rules.push_back({rule.label, rule.cron.text()});
  json events = json::array();
  for (const JobEvent event : job.events) events.push_back(to_string(event));
  json schedule = {{"rules", std::move(rules)},
                   {"events", std::move(events)},
                   {"timezone", workspace.timezone.value_or("")},
                   {"gap", static_cast<int>(workspace.dst.gap)},
                   {"overlap", static_cast<int>(workspace.dst.overlap)},
                   {"catch_up", static_cast<int>(job.catch_up)},
                   {"enabled", job.enabled}};
  if (job.catch_up == JobCatchUp::kAll) schedule["window"] = job.catch_up_window.count();
  return sha256_hex(schedule.dump());
}

bool share_an_event(const JobSpec& one, const JobSpec& other) {
  return std::ranges::any_of(one.events,
                             [&](JobEvent event) { return other.events.contains(event); });
}

// Whom each waits for exists, listens to the same event, and does not wait for it in turn.
void check_order(std::vector<JobSpec>& jobs, const std::map<JobName, std::string>& paths,
                 FileProblems& problems) {
  std::map<JobName, const JobSpec*> by_name;
  std::vector<std::string_view> names;
  for (const auto& job : jobs) {
    by_name.emplace(job.name, &job);
    names.push_back(job.name.value);
  }
  for (auto& job : jobs) {
    std::set<JobName> seen;
    for (std::size_t i = 0; i < job.depends_on.size(); ++i) {
      const auto& needed = job.depends_on[i];
      const auto field = fmt::format("{}[{}]", member_path(paths.at(job.name), "depends_on"), i);
      const auto found = by_name.find(needed);
      if (needed == job.name) {
        problems.error(field, "is the job itself");
      } else if (found == by_name.end()) {
        const auto meant = nearest(needed.value, names);
        problems.error(
            field, fmt::format("no job of this file is called {}{}", quote(needed.value),
                               meant.empty() ? "" : fmt::format("; did you mean \"{}\"?", meant)));
      } else if (!share_an_event(job, *found->second)) {
        problems.warning(field, fmt::format("has no effect: {} and {} wait for no common event, "
                                            "and only jobs of one event are ordered",
                                            quote(job.name.value), quote(needed.value)));
      }
      seen.insert(needed);
    }
    job.depends_on.assign(seen.begin(), seen.end());
  }
  if (problems.has_errors()) return;
  if (const auto circle = order_of(jobs).circle; !circle.empty()) {
    problems.error("jobs", fmt::format("depends_on goes round in a circle: {}", circle));
  }
}

}  // namespace

std::span<const std::string_view> job_fields() { return kKnownFields; }

void read_jobs(const json& document, WorkspaceSpec& spec, FileProblems& problems, JobPlace place) {
  const auto jobs = document.find("jobs");
  if (jobs == document.end() || jobs->is_null()) return;
  if (!jobs->is_array()) {
    problems.error("jobs", fmt::format("expected an array, found {}", describe_json(*jobs)));
    return;
  }
  std::map<JobName, std::string> paths;
  std::vector<const json*> sources;
  for (std::size_t i = 0; i < jobs->size(); ++i) {
    const auto path = place == JobPlace::kInArray ? fmt::format("jobs[{}]", i) : std::string();
    const auto& job = (*jobs)[i];
    if (!job.is_object()) {
      problems.error(path, fmt::format("expected an object, found {}", describe_json(job)));
      continue;
    }
    auto read = JobReader(job, path, problems).read(spec.name);
    if (read.name.empty()) continue;
    if (!paths.emplace(read.name, path).second) {
      problems.error(member_path(path, "name"),
                     fmt::format("another job is called {}", quote(read.name.value)));
      continue;
    }
    check_events(read, path, spec.name, problems);
    if (is_standalone(spec.name)) check_standalone(read, path, problems);
    spec.jobs.push_back(std::move(read));
    sources.push_back(&job);
  }
  if (!is_standalone(spec.name)) check_order(spec.jobs, paths, problems);
  for (std::size_t i = 0; i < spec.jobs.size(); ++i) {
    auto& job = spec.jobs[i];
    job.definition = definition_of(document, *sources[i], job);
    job.inputs_hash = sha256_hex(job.definition);
    job.schedule_hash = schedule_hash_of(job, spec);
  }
}

}  // namespace provisioner
