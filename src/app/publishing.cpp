// Publishing what the directories of workspaces and of standalone jobs say, and what is wrong
// there.
#include <fmt/format.h>

#include "app/daemon.hpp"
#include "runtime/backoff.hpp"

namespace provisioner {

using namespace std::chrono_literals;

Task<> Daemon::publish_folders(FolderPublisher& publisher, std::filesystem::path directory) {
  auto watcher = FolderWatcher::open(loop_.get_executor(), clock_, directory);
  if (!watcher) {
    log_.error(fmt::format("changes in {} are noticed every ten minutes only: {}",
                           directory.string(), watcher.error().message));
  }
  if (auto published = co_await publisher.publish_all(); !published) {
    log_.error(published.error().message);
  }
  co_await tell_of_start();
  if (watcher) co_await publisher.run(std::move(*watcher));
}

// Once the workspaces and the standalone jobs are published: jobs that came while no daemon was
// alive hear of the start, too.
Task<> Daemon::tell_of_start() {
  constexpr int kPublishers = 2;
  if (++published_ < kPublishers || !membership_->was_first()) co_return;
  Backoff backoff(1s, 30s);
  auto told = co_await store_->note_reboot(clock_.now());
  while (!told && told.error().kind == ErrorKind::kUnavailable) {
    co_await clock_.sleep_for(backoff.next(random_));
    told = co_await store_->note_reboot(clock_.now());
  }
  // One that was perhaps carried out is not repeated: rather not at all than twice.
  if (!told) log_.error("jobs that wait for @reboot may not run: " + told.error().message);
}

Task<Status> Daemon::read_configuration_again() {
  const Status workspaces = co_await workspaces_->publish_all();
  const Status jobs = co_await standalone_jobs_->publish_all();
  co_return workspaces ? jobs : workspaces;
}

std::map<std::string, std::string> Daemon::config_problems() const {
  auto problems = workspaces_->problems();
  for (const auto& [file, sentence] : standalone_jobs_->problems()) {
    problems.emplace("jobs/" + file, sentence);
  }
  return problems;
}

}  // namespace provisioner
