#include "tests/support/program.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "tests/support/eventually.hpp"
#include "tests/support/temp_directory.hpp"

extern char** environ;

namespace provisioner::testing {
namespace {

std::vector<std::string> merged_environment(const Environment& extra) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!extra.contains(text.substr(0, text.find('=')))) merged.push_back(text);
  }
  for (const auto& [name, value] : extra) {
    if (!value.empty()) merged.push_back(name + "=" + value);
  }
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (auto& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

pid_t spawn(std::vector<std::string> arguments, const Environment& extra,
            const std::filesystem::path& out, const std::filesystem::path& err) {
  std::vector<std::string> environment = merged_environment(extra);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, arguments[0].c_str(), &actions, nullptr,
                                 pointers(arguments).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + arguments[0] + ": " + strerror(error));
  return pid;
}

int code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

Finished run_program(const std::vector<std::string>& arguments, const Environment& extra,
                     std::chrono::milliseconds patience) {
  const TempDirectory directory;
  const pid_t pid = spawn(arguments, extra, directory / "out", directory / "err");
  int status = 0;
  if (!eventually(patience, [&] { return waitpid(pid, &status, WNOHANG) == pid; })) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  return {code_of(status), read_file(directory / "out"), read_file(directory / "err")};
}

Background::Background(const std::vector<std::string>& arguments, const Environment& extra,
                       const std::filesystem::path& output)
    : pid_(spawn(arguments, extra, output, output)) {}

Background::~Background() {
  if (!running()) return;
  kill(pid_, SIGCONT);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool Background::running() {
  if (status_ != -1) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  status_ = code_of(status);
  return false;
}

void Background::signal(int number) const { kill(pid_, number); }

int Background::wait(std::chrono::milliseconds patience) {
  return eventually(patience, [&] { return !running(); }) ? status_ : -1;
}

std::vector<pid_t> processes_with(const std::string& variable, const std::string& value) {
  const std::string wanted = variable + "=" + value;
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc()) continue;
    // A zombie has no environment any more: it is not found, as it should be.
    const std::string environment = '\0' + read_file(entry.path() / "environ");
    if (environment.find('\0' + wanted) != std::string::npos) found.push_back(pid);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string command_of(pid_t pid) {
  std::string command = read_file("/proc/" + std::to_string(pid) + "/cmdline");
  std::replace(command.begin(), command.end(), '\0', ' ');
  return command;
}

}  // namespace provisioner::testing
