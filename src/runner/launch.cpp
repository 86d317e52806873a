#include "runner/launch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>

#include <cstdlib>
#include <vector>

#include "runner/attempt_directory.hpp"
#include "runner/claim.hpp"
#include "runner/process_set.hpp"

namespace provisioner::runner {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> result;
  for (const auto& word : words) result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

}  // namespace

Result<pid_t> launch_guard(const GuardLaunch& launch) {
  const std::vector<std::string> arguments = {launch.guard.string(),
                                              "guard",
                                              "--runner",
                                              launch.runner.string(),
                                              "--socket",
                                              launch.socket.string(),
                                              "--directory",
                                              launch.directory.string(),
                                              "--run",
                                              launch.fence.run.value,
                                              "--attempt",
                                              fmt::format("{}", launch.fence.attempt.value),
                                              "--first-lease-us",
                                              fmt::format("{}", launch.first_lease.count())};
  const char* path = std::getenv("PATH");
  const std::vector<std::string> environment = {
      fmt::format("PATH={}", path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path),
      fmt::format("{}={}", kAttemptVariable, attempt_tag(launch.fence.run, launch.fence.attempt)),
      fmt::format("{}={}", kClaimVariable, launch.fence.claim.value)};
  const std::string log = AttemptDirectory{launch.directory}.guard_log().string();

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, launch.guard.c_str(), &files, &attributes,
                                pointers(arguments).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno(fmt::format("starting {}", launch.guard.string()), error);
  return pid;
}

}  // namespace provisioner::runner
