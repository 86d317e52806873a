#include "bench/system/shared/observed.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <stdexcept>

#include "tests/support/temp_directory.hpp"

extern char** environ;

namespace provisioner::bench {
namespace {

// "Rss:   1234 kB" in megabytes.
double megabytes(const std::string& text, const std::string& field) {
  const auto at = text.find(field + ":");
  if (at == std::string::npos) throw std::runtime_error("no " + field + " of a process");
  return std::stod(text.substr(at + field.size() + 1)) / 1024;
}

std::string proc(pid_t pid, const char* file) {
  return testing::read_file(fmt::format("/proc/{}/{}", pid, file));
}

}  // namespace

Memory memory_of(pid_t pid) {
  const std::string rollup = proc(pid, "smaps_rollup");
  return {megabytes(rollup, "Rss"), megabytes(rollup, "Pss")};
}

double peak_megabytes_of(pid_t pid) { return megabytes(proc(pid, "status"), "VmHWM"); }

std::chrono::duration<double> cpu_time_of(pid_t pid) {
  const std::string stat = proc(pid, "stat");
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) throw std::runtime_error("no such process");
  std::istringstream fields(stat.substr(name_end + 2));
  std::string field;
  long long user = 0;
  long long system = 0;
  for (int number = 3; number <= 15 && fields >> field; ++number) {  // as proc(5) counts
    if (number == 14) user = std::stoll(field);
    if (number == 15) system = std::stoll(field);
  }
  return std::chrono::duration<double>(static_cast<double>(user + system) /
                                       static_cast<double>(sysconf(_SC_CLK_TCK)));
}

std::string load_average() {
  double load = 0;
  if (getloadavg(&load, 1) != 1) return "load average unknown";
  return fmt::format("load average {:.2f}", load);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int run_quietly(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  for (const int fd : {0, 1, 2}) {
    posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
  }
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw std::runtime_error("cannot start " + arguments[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace provisioner::bench
