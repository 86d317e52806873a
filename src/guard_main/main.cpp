// provisioner-guard: the two roles that stand beside the runner, in a program of their own because
// a run starts it once for itself and once for each step. People do not call it.
#include <cstdio>

#include "runner/guard.hpp"
#include "runner/program_options.hpp"
#include "runner/trampoline.hpp"

namespace {

using provisioner::Attempt;
using provisioner::RunId;
using provisioner::runner::ProgramOptions;

constexpr int kUsage = 2;

int guard(const ProgramOptions& line) {
  provisioner::runner::GuardOptions options;
  options.runner = line.text("runner");
  options.socket = line.text("socket");
  options.directory = line.text("directory");
  options.run = RunId(line.text("run"));
  options.attempt = Attempt(line.number("attempt", 0));
  options.first_lease = line.micros("first-lease-us", options.first_lease);
  if (options.runner.empty() || options.socket.empty() || options.directory.empty() ||
      options.run.empty()) {
    return kUsage;
  }
  return run_guard(options);
}

int exec_child(const ProgramOptions& line) {
  provisioner::runner::TrampolineOptions options;
  options.parent = static_cast<pid_t>(line.number("parent", 0));
  options.group = line.number("group", 0) != 0;
  options.command = line.command();
  if (options.command.empty()) return kUsage;
  return run_trampoline(options);
}

}  // namespace

int main(int argc, char** argv) {
  const ProgramOptions line(argc, argv);
  if (line.role() == "guard") return guard(line);
  if (line.role() == "exec-child") return exec_child(line);
  std::fputs("provisioner-guard is started by provisioner: guard or exec-child\n", stderr);
  return kUsage;
}
