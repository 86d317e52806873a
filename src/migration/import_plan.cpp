#include "migration/import_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/text.hpp"
#include "config/folders.hpp"
#include "config/workspace_file.hpp"
#include "execution/content_scan.hpp"
#include "tofu/hcl_scanner.hpp"

namespace provisioner::migration {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBy = "migrate import";

enum class Witness { kNone, kUnreadable, kNothing, kResources };

Witness witness(const OldWorkspace& old) {
  if (!old.state) return Witness::kNone;
  if (!old.state->problem.empty()) return Witness::kUnreadable;
  return old.state->meta.resources > 0 ? Witness::kResources : Witness::kNothing;
}

bool was_ever_deployed(const OldWorkspace& old) {
  return old.last_deployed.has_value() || old.last_destroyed.has_value();
}

WorkspaceStatus status_without_resources(const OldWorkspace& old) {
  return was_ever_deployed(old) || old.state ? WorkspaceStatus::kDestroyed
                                             : WorkspaceStatus::kPending;
}

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Whether the content says that it keeps its state elsewhere. What cannot be read says nothing.
bool has_own_backend(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> texts;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (tofu::is_content_file(name)) texts.emplace_back(name, text_of(it->path()));
  }
  std::vector<tofu::ContentFile> files;
  for (const auto& [name, text] : texts) files.push_back({name, text});
  const auto facts = tofu::scan_content(files);
  return facts && facts->keeps_own_state();
}

// It took an absent `enabled` for false.
bool lacks_enabled(const fs::path& config) {
  const auto document = nlohmann::json::parse(text_of(config), nullptr, false);
  return document.is_object() && (!document.contains("enabled") || document["enabled"].is_null());
}

// Those that tofu read by itself have to come along; the folder may have them already.
void look_at_variable_files(const OldWorkspace& old, const fs::path& folder, Decision& decision) {
  for (const auto& file : old.variable_files) {
    const std::string name = file.filename();
    std::error_code none;
    const fs::path copy = folder / name;
    if (fs::exists(copy, none) && text_of(copy) == text_of(file)) continue;
    const bool by_itself = name == "terraform.tfvars" || name == "terraform.tfvars.json" ||
                           name.ends_with(".auto.tfvars") || name.ends_with(".auto.tfvars.json");
    if (by_itself) {
      decision.holds.push_back(
          fmt::format("{} sets variables, and is not in the workspace's folder: copy it to {}, or "
                      "set them in config.json where they are secrets, and import again",
                      file.string(), copy.string()));
    } else {
      decision.notes.push_back(
          fmt::format("{} stays where it is: copy it to {} if a custom command names it",
                      file.string(), copy.string()));
    }
  }
}

class Planner {
 public:
  Planner(const OldInstallation& old, const ImportPlanOptions& options)
      : old_(old), options_(options), templates_(options.templates) {}

  void add(const WorkspaceName& name, bool has_folder) {
    const auto found = old_.workspaces.find(name.value);
    const OldWorkspace old = found == old_.workspaces.end() ? OldWorkspace() : found->second;
    const fs::path folder = options_.workspaces_dir / name.value;
    auto loaded = load(name);
    Decision decision = decide(old, has_own_backend(folder));
    const bool nothing_left = decision.status == WorkspaceStatus::kPending ||
                              decision.status == WorkspaceStatus::kDestroyed;
    if (!has_folder && nothing_left && decision.holds.empty()) {
      add_problem(
          fmt::format("{} has neither a folder nor resources: it is not imported", name.value));
      return;
    }
    if (has_folder && lacks_enabled(folder / "config.json")) {
      decision.holds.emplace_back(
          "`enabled` is not in its config.json, which meant disabled and means enabled now: write "
          "what is meant, and release it");
    }
    look_at_variable_files(old, folder, decision);
    if (!loaded) {
      decision.holds.push_back(
          has_folder ? fmt::format("its folder cannot be loaded: {}", loaded.error().message)
                     : fmt::format("it has no folder in {}: put it there and import again, or end "
                                   "it by `workspace remove`",
                                   options_.workspaces_dir.string()));
    }
    if (old.last_config_modified && old.last_deployed &&
        *old.last_config_modified > *old.last_deployed &&
        decision.status == WorkspaceStatus::kDeployed) {
      decision.notes.push_back(fmt::format(
          "its configuration was changed after its last deploy: `workspace plan {}` says what a "
          "deploy would change",
          name.value));
    }
    plan_.items.push_back(item(name, has_folder, old, decision, loaded));
    ImportEntry entry{
        .workspace = name, .old_status = old.status, .witness = witness_of(old), .notes = {}};
    std::ranges::move(decision.holds, std::back_inserter(entry.notes));
    std::ranges::move(decision.notes, std::back_inserter(entry.notes));
    plan_.entries.push_back(std::move(entry));
  }

  // Content of a template has to be there before that of a workspace which uses it.
  void add_template(const OldTemplate& old) {
    if (templates_.contains(old.name)) return;
    const auto name = parse_template_name(old.name);
    auto bundle = old.directory.empty()
                      ? Result<Bundle>(fail(ErrorKind::kNotFound, "its files are not there"))
                      : build_bundle(old.directory, {});
    if (!name || !bundle) {
      add_problem(fmt::format("template {} is not imported: {}", old.name,
                              name ? bundle.error().message : name.error().message));
      return;
    }
    templates_[old.name] = {.hash = bundle->hash,
                            .bytes = std::make_shared<const std::string>(bundle->bytes)};
    plan_.templates.push_back(
        {.row = {.name = *name,
                 .source = {.url = old.url, .path = old.path, .ref = old.ref},
                 .description = old.description,
                 .commit = "",
                 .bundle = bundle->hash,
                 .created_at = old.created_at.value_or(options_.now),
                 .updated_at = old.updated_at.value_or(old.created_at.value_or(options_.now)),
                 .version = Version()},
         .content = std::move(bundle->bytes)});
  }

  // How its jobs fared.
  void add_job(const OldJob& old) {
    const auto name = parse_job_name(old.name);
    if (!name) {
      add_problem(fmt::format("the counters of job {}:{} are not imported: {}", old.workspace,
                              old.name, name.error().message));
      return;
    }
    if (old.workspace == kStandalone && !add_standalone(*name)) return;
    const std::string home = old.workspace == kStandalone ? home_of(*name).value : old.workspace;
    const auto found = std::ranges::find_if(
        plan_.items, [&](const auto& item) { return item.publication.workspace.value == home; });
    if (found == plan_.items.end()) {
      add_problem(fmt::format("the counters of job {}:{} are not imported: its workspace is not",
                              old.workspace, old.name));
      return;
    }
    std::vector<Job>& jobs = found->workspace.jobs;
    jobs.push_back({.workspace = found->publication.workspace,
                    .name = *name,
                    .position = static_cast<std::int64_t>(jobs.size()),
                    .status = status_of(old),
                    .cursor = options_.now,
                    .next_run = {},
                    .last_run = old.last_run,
                    .last_success = old.last_success,
                    .last_failure = old.last_failure,
                    .last_error = old.last_error,
                    .last_exit_code = old.last_exit_code,
                    .run_count = old.run_count,
                    .success_count = old.success_count,
                    .failure_count = old.failure_count,
                    .deployed = {}});
  }

  void add_problem(std::string text) { plan_.problems.push_back(std::move(text)); }
  ImportPlan take() { return std::move(plan_); }

 private:
  // The row beside the workspaces that a standalone job has. False: its file says nothing.
  bool add_standalone(const JobName& name) {
    auto file = read_standalone_job(options_.jobs_dir, name);
    if (!file) {
      add_problem(fmt::format("the counters of job {}:{} are not imported: {}", kStandalone,
                              name.value, file.error().message));
      return false;
    }
    Result<LoadedWorkspace> content = load_standalone_job(*std::move(file));
    plan_.items.push_back(item(home_of(name), true, OldWorkspace(), Decision(), content));
    plan_.entries.push_back(
        {.workspace = home_of(name), .old_status = "", .witness = "a standalone job", .notes = {}});
    return true;
  }

  // One that was running came to an end that nobody saw.
  static JobStatus status_of(const OldJob& old) {
    if (old.status == "running") return JobStatus::kFailed;
    return parse_job_status(old.status).value_or(JobStatus::kPending);  // "disabled"
  }

  Result<LoadedWorkspace> load(const WorkspaceName& name) const {
    auto folder = read_workspace_folder(options_.workspaces_dir, name);
    if (!folder) return std::unexpected(folder.error());
    const TemplateContent* base = nullptr;
    if (const std::string& wanted = folder->wanted_template; !wanted.empty()) {
      const auto found = templates_.find(wanted);
      if (found == templates_.end()) {
        return fail(ErrorKind::kNotFound,
                    fmt::format("its template {} is neither in the store nor among the old ones: "
                                "`template add` it under the running daemon, then import again",
                                wanted));
      }
      base = &found->second;
    }
    return load_workspace(*std::move(folder), tofu_content_scan(), base);
  }

  ImportRequest::Item item(const WorkspaceName& name, bool has_folder, const OldWorkspace& old,
                           const Decision& decision, Result<LoadedWorkspace>& loaded) const {
    ImportRequest::Item made{.publication = {.workspace = name,
                                             .changed_by = std::string(kBy),
                                             .first_cursor = options_.now},
                             .workspace = {}};
    if (loaded) {
      Publication& p = made.publication;
      if (!loaded->template_bundle.empty()) {
        Definition own = loaded->definition;
        own.bundle = loaded->own_bundle;
        p.template_bundle = loaded->template_bundle;
        p.folder_content = content_of(own);
      }
      p.definition = std::move(loaded->definition);
      p.enabled = loaded->spec.enabled;
      p.template_name = loaded->spec.template_name.value_or("");
      p.description = loaded->spec.description;
      p.instance = options_.reporter;
      p.schedule_hash = std::move(loaded->schedule_hash);
      made.workspace.bundle = std::move(loaded->bundle);
    } else {
      Bundle nothing = empty_bundle();
      made.publication.definition = {
          .config = "{}", .bundle = std::move(nothing.hash), .inputs_hash = ""};
      made.workspace.bundle = std::move(nothing.bytes);
      made.workspace.has_content = false;
      made.workspace.detached = !has_folder;
    }
    ImportedWorkspace& w = made.workspace;
    w.status = decision.status;
    const bool may_be_there = decision.status != WorkspaceStatus::kPending &&
                              decision.status != WorkspaceStatus::kDestroyed;
    if (may_be_there) w.mode = old.mode;
    w.last_deployed = old.last_deployed;
    w.last_destroyed = old.last_destroyed;
    w.last_deploy_error = decision.deploy_error;
    w.last_destroy_error = decision.destroy_error;
    w.hold_reason = join(decision.holds, "; ");
    w.lock_file = old.lock_file;
    if (old.state && old.state->problem.empty()) {
      w.state = ImportedState{.meta = old.state->meta, .body = old.state->body};
    }
    return made;
  }

  const OldInstallation& old_;
  const ImportPlanOptions& options_;
  std::map<std::string, TemplateContent> templates_;
  ImportPlan plan_;
};

}  // namespace

std::string witness_of(const OldWorkspace& old) {
  switch (witness(old)) {
    case Witness::kNone: return "no terraform.tfstate";
    case Witness::kUnreadable: return "cannot be read";
    case Witness::kNothing: return "no resources";
    case Witness::kResources: break;
  }
  const auto count = old.state->meta.resources;
  return fmt::format("{} resource{}", count, count == 1 ? "" : "s");
}

Decision decide(const OldWorkspace& old, bool own_backend) {
  using enum WorkspaceStatus;
  const Witness seen = witness(old);
  const bool has = seen == Witness::kResources;
  // Nobody can tell whether anything is there.
  const bool unknown = seen == Witness::kUnreadable || (seen == Witness::kNone && own_backend);
  const WorkspaceStatus gone = status_without_resources(old);
  Decision d;
  const auto contradicted = [&](std::string_view means) {
    d.notes.push_back(fmt::format("scheduler.json says {}, terraform.tfstate says {}: it is {}",
                                  old.status.empty() ? "nothing of it" : old.status,
                                  witness_of(old), means));
  };
  if (seen == Witness::kUnreadable) {
    d.holds.push_back(fmt::format("{} cannot be read: {}. Mend it and import again",
                                  old.state->file.string(), old.state->problem));
  }

  if (old.status == "deployed") {
    d.status = seen == Witness::kNothing ? gone : kDeployed;
    if (seen == Witness::kNothing) contradicted("taken for destroyed");
    if (seen == Witness::kNone && !own_backend) {
      d.holds.emplace_back(
          "it is said to be deployed, but there is no terraform.tfstate: a deploy would create "
          "everything anew. Give it its state by `state push`, or release it if its commands keep "
          "one elsewhere");
    }
  } else if (old.status == "deploying") {
    d.status = has || unknown ? kDeployFailed : gone;
    d.deploy_error = "it was being deployed when the file-based version stopped";
    d.holds.push_back(d.deploy_error +
                      ": look at `workspace plan`, then deploy or destroy it, and release it");
  } else if (old.status == "destroying") {
    d.status = has || unknown ? kDestroyFailed : gone;
    d.destroy_error = "it was being destroyed when the file-based version stopped";
    if (d.status == gone) {
      d.destroy_error.clear();
      contradicted("taken for destroyed");
    } else {
      d.holds.push_back(d.destroy_error + ": destroy or deploy it, and release it");
    }
  } else if (old.status == "deploy_failed") {
    d.status = kDeployFailed;
    d.deploy_error =
        old.last_deploy_error.empty() ? "its last deploy failed" : old.last_deploy_error;
  } else if (old.status == "destroy_failed") {
    d.status = seen == Witness::kNothing ? gone : kDestroyFailed;
    if (seen == Witness::kNothing) {
      contradicted("taken for destroyed");
    } else {
      d.destroy_error =
          old.last_destroy_error.empty() ? "its last destroy failed" : old.last_destroy_error;
    }
  } else {
    const bool known = old.status.empty() || old.status == "pending" || old.status == "destroyed";
    d.status = has ? kDeployed : old.status == "destroyed" ? kDestroyed : gone;
    if (has) contradicted("taken for deployed");
    if (!known) {
      d.holds.push_back(fmt::format("nobody knows what its status \"{}\" means", old.status));
    }
  }
  return d;
}

Result<ImportPlan> plan_import(const OldInstallation& old, const ImportPlanOptions& options) {
  const auto scan = scan_workspaces(options.workspaces_dir);
  if (!scan) return std::unexpected(scan.error());
  Planner planner(old, options);
  for (const auto& made : old.templates) planner.add_template(made);
  std::map<WorkspaceName, bool> names;  // whether it has a folder
  for (const auto& name : scan->workspaces) names.emplace(name, true);
  for (const auto& problem : scan->problems) planner.add_problem(problem.message);
  for (const auto& [name, workspace] : old.workspaces) {
    if (auto parsed = parse_workspace_name(name)) {
      names.emplace(std::move(*parsed), false);
    } else {
      planner.add_problem(fmt::format("{}: {}. It is not imported", name, parsed.error().message));
    }
  }
  for (const auto& [name, has_folder] : names) planner.add(name, has_folder);
  for (const auto& job : old.jobs) planner.add_job(job);
  return planner.take();
}

}  // namespace provisioner::migration
