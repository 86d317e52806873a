#include "app/folder_publisher.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "config/workspace_file.hpp"
#include "model/job.hpp"
#include "runtime/first_of.hpp"

namespace provisioner {
namespace {

// Enough for the store to commit many publications together while others load, few enough to keep
// bundles in memory.
constexpr std::size_t kAtOnce = 32;

constexpr Duration kFullScanEvery = std::chrono::minutes(10);

}  // namespace

FolderSource workspace_folders(std::filesystem::path workspaces_dir, ContentScan scan) {
  const auto name_of = [](const WorkspaceName& name) { return name.value; };
  return {.noun = "workspace",
          .entry_noun = "folder",
          .if_vanished =
              "and keeps its last content and its destroy schedule; 'workspace remove' "
              "forgets it",
          .scan = [workspaces_dir] { return scan_workspaces(workspaces_dir); },
          .holds_the_same =
              [workspaces_dir](const WorkspaceName& name, const FolderMark& mark) {
                return provisioner::holds_the_same(workspaces_dir, name, mark);
              },
          .read =
              [workspaces_dir](const WorkspaceName& name) {
                return read_workspace_folder(workspaces_dir, name);
              },
          .load =
              [scan = std::move(scan)](WorkspaceFolder folder, const TemplateContent* base) {
                return load_workspace(std::move(folder), scan, base);
              },
          .owns = [](const WorkspaceName& name) { return !is_standalone(name); },
          .shown = name_of,
          .entry = name_of};
}

FolderSource standalone_jobs(std::filesystem::path jobs_dir) {
  return {
      .noun = "job",
      .entry_noun = "file",
      .if_vanished = "and runs no more",
      .may_be_absent = true,
      .scan = [jobs_dir] { return scan_standalone_jobs(jobs_dir); },
      .holds_the_same =
          [jobs_dir](const WorkspaceName& home, const FolderMark& mark) {
            return provisioner::holds_the_same(jobs_dir / (standalone_job_of(home).value + ".json"),
                                               mark);
          },
      .read =
          [jobs_dir](const WorkspaceName& home) {
            return read_standalone_job(jobs_dir, standalone_job_of(home));
          },
      .load = [](WorkspaceFolder file, const TemplateContent*) -> Result<LoadedWorkspace> {
        return load_standalone_job(std::move(file));
      },
      .owns = is_standalone,
      .shown = [](const WorkspaceName& home) { return standalone_job_of(home).value; },
      .entry = [](const WorkspaceName& home) { return standalone_job_of(home).value + ".json"; }};
}

FolderPublisher::FolderPublisher(boost::asio::any_io_executor loop, Clock& clock, Offload& offload,
                                 Store& store, Logger log, FolderSource source,
                                 FolderPublisherOptions options)
    : loop_(std::move(loop)),
      clock_(clock),
      offload_(offload),
      store_(store),
      log_(std::move(log)),
      source_(std::move(source)),
      options_(std::move(options)),
      settling_(options_.settle),
      look_(loop_),
      subscription_(store_.subscribe([this](const Change& change) {
        if (change.topic != Change::Topic::kTemplate) return;
        changed_templates_.insert(change.key);
        look_.notify();
      })) {}

Task<Status> FolderPublisher::publish_all() {
  auto reports = co_await store_.reports();
  if (!reports) co_return fail("reading from the store what was published", reports.error());
  auto rows = co_await store_.workspaces();
  if (!rows) co_return fail("reading from the store what was published", rows.error());
  reported_.clear();
  for (const auto& report : *reports) {
    if (report.instance == options_.reporter && source_.owns(report.workspace) &&
        !report.content.empty()) {
      reported_[report.workspace].content = report.content;
    }
  }
  for (const Workspace& row : *rows) {
    const auto said = reported_.find(row.name);
    if (said != reported_.end()) said->second.template_bundle = row.template_bundle;
  }
  auto scan = co_await offload_.run(source_.scan);
  if (!scan) {
    const bool is_fine =
        scan.error().kind == ErrorKind::kNotFound && source_.may_be_absent && reported_.empty();
    if (is_fine) co_return Status();
    co_return std::unexpected(scan.error());
  }

  std::set<std::string> present;
  for (const auto& problem : scan->problems) {
    present.insert(problem.folder);
    report_problem(problem.folder, problem.message);
  }
  for (const auto& name : scan->workspaces) present.insert(source_.entry(name));
  co_await publish_some(scan->workspaces);
  co_return co_await detach_missing(present);
}

Task<> FolderPublisher::publish_some(const std::vector<WorkspaceName>& names) {
  namespace asio = boost::asio;
  std::size_t next = 0;
  // Each takes the next name as soon as it is done with one: loading goes on while others commit.
  const auto one_by_one = [&]() -> Task<> {
    while (next < names.size()) co_await publish_and_tell(names[next++]);
  };
  std::vector<decltype(asio::co_spawn(loop_, one_by_one(), asio::deferred))> together;
  for (std::size_t i = 0; i < std::min(kAtOnce, names.size()); ++i) {
    together.push_back(asio::co_spawn(loop_, one_by_one(), asio::deferred));
  }
  if (together.empty()) co_return;
  co_await asio::experimental::make_parallel_group(std::move(together))
      .async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
  contents_.clear();
}

Task<> FolderPublisher::publish_and_tell(WorkspaceName name) {
  const std::string folder = source_.entry(name);
  const std::string shown = source_.shown(name);
  const auto done = co_await publish_folder(std::move(name));
  if (done) {
    if (problems_.erase(folder) > 0) {
      log_.info(source_.noun + " is valid again", {{source_.noun, shown}});
    }
  } else if (done.error().kind == ErrorKind::kUnavailable ||
             done.error().kind == ErrorKind::kVersionConflict) {
    settling_.touch(folder, clock_.boot_now());
  } else {
    report_problem(folder, done.error().message);
  }
}

Task<bool> FolderPublisher::is_as_reported(WorkspaceName name) {
  const auto mark = marks_.find(name);
  if (mark == marks_.end() || !reported_.contains(name)) co_return false;
  co_return co_await offload_.run(
      [same = source_.holds_the_same, name, mark = mark->second] { return same(name, mark); });
}

Task<Status> FolderPublisher::publish_folder(WorkspaceName name) {
  if (co_await is_as_reported(name)) co_return Status();
  marks_.erase(name);
  auto read = co_await offload_.run([read = source_.read, name] { return read(name); });
  if (!read) co_return std::unexpected(read.error());
  FolderMark mark{.config_hash = read->config_hash,
                  .own = read->own.hash,
                  .include = read->parsed.spec.include};
  const bool wants_template = !read->wanted_template.empty();
  templates_[source_.entry(name)] = read->parsed.spec.template_name.value_or("");
  auto base = co_await content_of_template(*read);
  if (!base) co_return std::unexpected(base.error());
  auto loaded = co_await offload_.run(
      [read = *std::move(read), load = source_.load, base = *std::move(base)]() mutable {
        return load(std::move(read), base ? &*base : nullptr);
      });
  if (!loaded) co_return std::unexpected(loaded.error());
  const std::string folder = source_.entry(name);
  const std::string shown = source_.shown(name);
  included_[folder] = loaded->included;
  depends_on_[name] = loaded->spec.depends_on;
  if (watcher_ != nullptr) watcher_->watch_also(folder, loaded->included);

  const auto known = reported_.find(name);
  Definition own = loaded->definition;
  own.bundle = loaded->own_bundle;
  const bool has_template = !loaded->template_bundle.empty();
  const Said said{.content = content_of(own), .template_bundle = loaded->template_bundle};
  if (known != reported_.end() && known->second == said) {
    if (!wants_template) marks_[name] = std::move(mark);
    co_return Status();
  }
  for (const auto& warning : loaded->warnings) {
    log_.warning(warning, {{source_.noun, shown}});
  }
  const Instant now = clock_.now();
  Publication publication{
      .workspace = name,
      .definition = loaded->definition,
      .enabled = loaded->spec.enabled,
      .template_name = loaded->spec.template_name.value_or(""),
      .template_bundle = loaded->template_bundle,
      .folder_content = has_template ? said.content : "",
      .description = loaded->spec.description,
      .changed_by = "instance " + options_.reporter.value,
      .instance = options_.reporter,
      .first_cursor = options_.first_cursor(loaded->spec, now),
      .schedule_hash = loaded->schedule_hash,
  };
  if (auto put = co_await store_.put_bundle(loaded->definition.bundle, std::move(loaded->bundle));
      !put) {
    co_return fail(fmt::format("storing the content of {} {}", source_.noun, shown), put.error());
  }
  auto row = co_await store_.publish(std::move(publication), now);
  if (!row) co_return fail(fmt::format("publishing {} {}", source_.noun, shown), row.error());
  const bool is_new = known == reported_.end();
  reported_[name] = said;
  if (!wants_template) marks_[name] = std::move(mark);
  log_.info(source_.noun + (is_new ? " loaded" : " changed"),
            {{source_.noun, shown}, {"bundle", row->current.bundle.value.substr(0, 12)}});
  co_return Status();
}

Task<Result<std::optional<TemplateContent>>> FolderPublisher::content_of_template(
    const WorkspaceFolder& folder) {
  if (folder.wanted_template.empty()) co_return std::nullopt;
  const TemplateName name(folder.wanted_template);
  const auto row = co_await store_.template_named(name);
  if (!row && row.error().kind == ErrorKind::kNotFound) {
    co_return fail(
        ErrorKind::kNotFound,
        fmt::format("{0}/config.json: template: there is no template {1}: add it with 'provisioner "
                    "template add {1} URL', or put tofu files into the folder",
                    folder.shown, name.value));
  }
  if (!row) co_return fail(fmt::format("reading template {}", name.value), row.error());
  if (const auto known = contents_.find(row->bundle); known != contents_.end()) {
    co_return known->second;
  }
  auto bytes = co_await store_.bundle(row->bundle);
  if (!bytes) co_return fail(fmt::format("reading template {}", name.value), bytes.error());
  TemplateContent content{.hash = row->bundle,
                          .bytes = std::make_shared<const std::string>(*std::move(bytes))};
  contents_[row->bundle] = content;
  co_return content;
}

// The folders that name a template which changed are read again, broken ones too.
void FolderPublisher::follow_templates() {
  const BootInstant now = clock_.boot_now();
  for (const auto& [folder, name] : templates_) {
    if (changed_templates_.contains(name)) settling_.want(folder, now);
  }
  changed_templates_.clear();
}

Task<Status> FolderPublisher::detach_missing(const std::set<std::string>& present) {
  std::vector<WorkspaceName> missing;
  for (const auto& [name, content] : reported_) {
    if (!present.contains(source_.entry(name))) missing.push_back(name);
  }
  for (const auto& name : missing) {
    if (auto done = co_await store_.detach(name, options_.reporter,
                                           "instance " + options_.reporter.value, clock_.now());
        !done) {
      co_return fail(fmt::format("detaching {} {}", source_.noun, source_.shown(name)),
                     done.error());
    }
    reported_.erase(name);
    depends_on_.erase(name);
    log_.warning(fmt::format("the {} of {} {} has vanished: it is detached {}", source_.entry_noun,
                             source_.noun, source_.shown(name), source_.if_vanished),
                 {{source_.noun, source_.shown(name)}});
  }
  std::erase_if(problems_, [&](const auto& problem) { return !present.contains(problem.first); });
  std::erase_if(templates_, [&](const auto& named) { return !present.contains(named.first); });
  check_dependencies();
  co_return Status();
}

// A circle, or a name that no folder has, makes runs wait for ever: it is said as soon as it is
// seen.
void FolderPublisher::check_dependencies() {
  std::vector<WorkspaceSpec> specs;
  for (const auto& [name, needed] : depends_on_) {
    specs.emplace_back().name = name;
    specs.back().depends_on = needed;
  }
  // Those whose folder is broken at present are still there.
  for (const auto& [name, content] : reported_) {
    if (!depends_on_.contains(name)) specs.emplace_back().name = name;
  }
  std::map<WorkspaceName, std::string> present;
  for (auto& problem : find_dependency_problems(specs)) {
    const auto known = dependency_problems_.find(problem.workspace);
    if (known == dependency_problems_.end() || known->second != problem.message) {
      log_.error(problem.message, {{"workspace", problem.workspace.value}});
    }
    present.emplace(std::move(problem.workspace), std::move(problem.message));
  }
  dependency_problems_ = std::move(present);
}

void FolderPublisher::report_problem(const std::string& folder, const std::string& message) {
  auto& known = problems_[folder];
  if (known == message) return;
  known = message;
  log_.error(message, {{source_.noun, folder}});
}

Task<> FolderPublisher::take(const std::set<std::string>& folders) {
  auto scan = co_await offload_.run(source_.scan);
  if (!scan) {
    report_problem("", scan.error().message);
    co_return;
  }
  std::set<std::string> present;
  std::vector<WorkspaceName> changed;
  for (const auto& name : scan->workspaces) {
    const std::string folder = source_.entry(name);
    present.insert(folder);
    if (folders.contains(folder)) changed.push_back(name);
  }
  for (const auto& problem : scan->problems) {
    present.insert(problem.folder);
    if (folders.contains(problem.folder)) report_problem(problem.folder, problem.message);
  }
  co_await publish_some(changed);
  // Only folders that were quiet for the settling time count as vanished, not one that an editor or
  // a deployment tool is replacing right now.
  std::set<std::string> kept = present;
  for (const auto& [name, content] : reported_) {
    if (!folders.contains(source_.entry(name))) kept.insert(source_.entry(name));
  }
  if (auto done = co_await detach_missing(kept); !done) {
    log_.error(done.error().message);
    for (const auto& folder : folders) settling_.touch(folder, clock_.boot_now());
  }
}

Task<> FolderPublisher::run(std::unique_ptr<FolderWatcher> watcher) {
  watcher_ = watcher.get();
  for (const auto& [folder, paths] : included_) watcher_->watch_also(folder, paths);
  if (!watcher_->trouble().empty()) log_.warning(watcher_->trouble());

  BootInstant next_scan = clock_.boot_now() + kFullScanEvery;
  while ((co_await boost::asio::this_coro::cancellation_state).cancelled() ==
         boost::asio::cancellation_type::none) {
    FolderChanges changes;
    const BootInstant wake = std::min(next_scan, settling_.next_due().value_or(next_scan));
    co_await first_of(
        [](FolderWatcher& w, FolderChanges& into) -> Task<> { into = co_await w.next(); }(*watcher_,
                                                                                          changes),
        [](Signal& look, Clock& clock, BootInstant until) -> Task<> {
          co_await look.wait_until(clock, until);
        }(look_, clock_, wake));
    follow_templates();
    const BootInstant now = clock_.boot_now();
    for (const auto& folder : changes.folders) settling_.touch(folder, now);
    if (changes.everything || now >= next_scan) {
      for (const auto& [name, content] : reported_) settling_.touch(source_.entry(name), now);
      const auto scan = co_await offload_.run(source_.scan);
      if (scan) {
        for (const auto& name : scan->workspaces) settling_.touch(source_.entry(name), now);
        for (const auto& problem : scan->problems) settling_.touch(problem.folder, now);
      }
      next_scan = now + kFullScanEvery;
    }
    const auto due = settling_.take_due(clock_.boot_now());
    if (!due.empty()) co_await take({due.begin(), due.end()});
  }
}

}  // namespace provisioner
