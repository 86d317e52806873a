// What the daemon's health is made of, and when it is ready.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "app/daemon.hpp"
#include "app/process.hpp"
#include "tofu/binary.hpp"

namespace provisioner {
namespace {

using server::Health;
using std::chrono::seconds;

// States of a run that cannot be handed over wait on this disk.
constexpr std::uintmax_t kLittleSpace = 512ull * 1024 * 1024;

Status has_space(const std::filesystem::path& directory) {
  std::error_code error;
  const auto space = std::filesystem::space(directory, error);
  if (error) return fail_errno(fmt::format("looking at {}", directory.string()), error.value());
  if (space.available >= kLittleSpace) return {};
  return fail(ErrorKind::kIo,
              fmt::format("{} has {} MiB left", directory.string(), space.available >> 20U));
}

Status are_there(const std::filesystem::path& programs, const std::string& tofu,
                 const std::string& path) {
  for (const char* name : {"provisioner-guard", "provisioner-runner"}) {
    const auto program = programs / name;
    if (::access(program.c_str(), X_OK) != 0) {
      return fail_errno(fmt::format("no run can start without {}", program.string()), errno);
    }
  }
  const auto found = tofu::find_binary(tofu, path).found;
  if (!found) return std::unexpected(found.error());
  return {};
}

}  // namespace

void Daemon::watch_health() {
  const auto watch = [this](server::HealthWatch::Subject subject) {
    const std::string name = "watch of the " + subject.name;
    background_.start(name, health_.watch(std::move(subject)));
  };
  watch({.name = "store", .ask = [this] { return store_->ping(); }, .every = seconds(1)});
  // A stand-by serves without it, and runs go on.
  watch({.name = "election",
         .ask = [this] { return ask_election(); },
         .every = seconds(5),
         .when_failing = Health::kDegraded});
  watch({.name = "clock",
         .ask = [this]() -> Task<Status> {
           if (membership_->clock_agrees()) co_return Status();
           co_return fail(ErrorKind::kInvalid,
                          "this host's clock and the store's differ by more than 5 s: nothing is "
                          "planned here");
         },
         .every = seconds(5),
         .when_failing = Health::kDegraded});
  watch({.name = "disk",
         .ask = [this] { return look_at_disk(); },
         .every = seconds(10),
         .when_failing = Health::kDegraded});
  watch({.name = "programs",
         .ask = [this] { return look_for_programs(); },
         .every = seconds(60),
         .when_failing = Health::kDegraded});
}

Task<Status> Daemon::ask_election() {
  const auto seen = co_await election_->observe();
  election_problem_ = seen ? "" : seen.error().message;
  if (seen) {
    election_breaker_->succeeded(clock_.boot_now());
  } else {
    election_breaker_->failed(clock_.boot_now());
  }
  if (!seen) co_return std::unexpected(seen.error());
  election_answered_ = true;
  co_return Status();
}

Task<Status> Daemon::look_at_disk() {
  co_return co_await offload_.run(
      [directory = settings_.state_dir] { return has_space(directory); });
}

Task<Status> Daemon::look_for_programs() {
  const auto path = environment_.find("PATH");
  co_return co_await offload_.run([programs = own_directory(), tofu = settings_.tofu.binary,
                                   in = path == environment_.end() ? "" : path->second] {
    return are_there(programs, tofu, in);
  });
}

std::string Daemon::not_ready() const {
  if (!refusal_.empty()) return refusal_;
  if (stop_requests_ > 0) return "the daemon is stopping";
  // Settings that name the wrong servers show as an instance that never becomes ready. An election
  // that has answered may go away: a stand-by serves without it.
  if (!election_answered_) {
    return fmt::format("{} did not answer since the start: {}", election_->describe(),
                       election_problem_);
  }
  // Another instance may reach it.
  for (const server::HealthCheck& check : health_.checks()) {
    if (check.health == Health::kUnhealthy) {
      return fmt::format("the {} does not answer: {}", check.name, check.message);
    }
  }
  return "";
}

}  // namespace provisioner
