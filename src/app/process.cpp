#include "app/process.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>

namespace provisioner {

void harden_process() {
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

void remove_own_credentials() {
  for (const char* name : {"DATABASE_PASSWORD", "PGPASSWORD", "ETCD_PASSWORD", "CONSUL_HTTP_TOKEN",
                           "REDIS_PASSWORD", "PROVISIONER_TOKEN"}) {
    unsetenv(name);
  }
}

std::filesystem::path own_directory() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::filesystem::path("/usr/bin") : self.parent_path();
}

void notify_systemd(const std::string& state) {
  // 0 says that no systemd listens; an error has nobody to be told to.
  (void)sd_notify(0, state.c_str());
}

std::optional<Duration> systemd_watchdog() {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return std::nullopt;
  return Duration(microseconds);
}

}  // namespace provisioner
