// provisioner-runner: what speaks with the daemon and leads the steps of an attempt. People do not
// call it.
#include <cstdio>

#include "runner/claim.hpp"
#include "runner/program_options.hpp"
#include "runner/runner.hpp"

namespace {

using provisioner::Attempt;
using provisioner::RunId;
using provisioner::runner::ProgramOptions;

constexpr int kUsage = 2;

int run(const ProgramOptions& line) {
  provisioner::runner::RunnerOptions options;
  options.socket = line.text("socket");
  options.directory = line.text("directory");
  options.run = RunId(line.text("run"));
  options.attempt = Attempt(line.number("attempt", 0));
  options.claim = provisioner::runner::take_claim();
  options.line = static_cast<int>(line.number("line", -1));
  options.starter = static_cast<int>(line.number("starter", -1));
  options.first_lease = line.micros("first-lease-us", options.first_lease);
  if (options.socket.empty() || options.directory.empty() || options.run.empty() ||
      options.claim.empty() || options.line < 3 || options.starter < 3) {
    return kUsage;
  }
  return run_runner(std::move(options));
}

}  // namespace

int main(int argc, char** argv) {
  const ProgramOptions line(argc, argv);
  if (line.role() == "run") return run(line);
  std::fputs("provisioner-runner is started by provisioner-guard: run\n", stderr);
  return kUsage;
}
