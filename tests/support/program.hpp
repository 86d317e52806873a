// Running the built programs as a user would, and killing them as a bad night would.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace provisioner::testing {

using Environment = std::map<std::string, std::string>;

struct Finished {
  int code = -1;  // exit code, or 128 + signal
  std::string out;
  std::string err;
};

// Runs to the end; no standard input. `extra` is added to this process's environment ("" removes).
// Killed after `patience`, which counts as code 137.
Finished run_program(const std::vector<std::string>& arguments, const Environment& extra = {},
                     std::chrono::milliseconds patience = std::chrono::seconds(60));

// A program in the background with its output in a file. The destructor kills and reaps it.
class Background {
 public:
  Background(const std::vector<std::string>& arguments, const Environment& extra,
             const std::filesystem::path& output);
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  void signal(int number) const;
  // Waits for its end; the exit code, or 128 + signal, or -1 when it lives on.
  int wait(std::chrono::milliseconds patience = std::chrono::seconds(30));

 private:
  pid_t pid_ = -1;
  int status_ = -1;
};

// The processes whose environment has `variable` beginning with `value`, by pid: how a test sees
// what lives, without trusting the daemon.
std::vector<pid_t> processes_with(const std::string& variable, const std::string& value);

// The command line of a process, arguments separated by spaces; "" when it is gone or a zombie.
std::string command_of(pid_t pid);

}  // namespace provisioner::testing
