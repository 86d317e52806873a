// provisioner-runner: one small program, three roles of an attempt. People do not call it.
#include <charconv>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runner/claim.hpp"
#include "runner/guard.hpp"
#include "runner/runner.hpp"
#include "runner/trampoline.hpp"

namespace {

using provisioner::Attempt;
using provisioner::Duration;
using provisioner::RunId;

constexpr int kUsage = 2;

// "--name value" pairs up to "--"; what follows it is the command.
struct CommandLine {
  std::map<std::string, std::string, std::less<>> options;
  std::vector<std::string> command;
  bool is_wrong = false;

  CommandLine(int argc, char** argv) {
    for (int i = 2; i < argc; ++i) {
      const std::string_view word = argv[i];
      if (word == "--") {
        command.assign(argv + i + 1, argv + argc);
        return;
      }
      if (!word.starts_with("--") || i + 1 == argc) {
        is_wrong = true;
        return;
      }
      options[std::string(word.substr(2))] = argv[++i];
    }
  }

  std::string text(std::string_view name) const {
    const auto found = options.find(name);
    return found == options.end() ? "" : found->second;
  }

  std::int64_t number(std::string_view name, std::int64_t otherwise) const {
    const std::string digits = text(name);
    std::int64_t value = otherwise;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  }

  Duration micros(std::string_view name, Duration otherwise) const {
    return Duration(number(name, otherwise.count()));
  }
};

int guard(const CommandLine& line) {
  provisioner::runner::GuardOptions options;
  options.socket = line.text("socket");
  options.directory = line.text("directory");
  options.run = RunId(line.text("run"));
  options.attempt = Attempt(line.number("attempt", 0));
  options.first_lease = line.micros("first-lease-us", options.first_lease);
  if (options.socket.empty() || options.directory.empty() || options.run.empty()) return kUsage;
  return run_guard(options);
}

int run(const CommandLine& line) {
  provisioner::runner::RunnerOptions options;
  options.socket = line.text("socket");
  options.directory = line.text("directory");
  options.run = RunId(line.text("run"));
  options.attempt = Attempt(line.number("attempt", 0));
  options.claim = provisioner::runner::take_claim();
  options.line = static_cast<int>(line.number("line", -1));
  options.first_lease = line.micros("first-lease-us", options.first_lease);
  if (options.socket.empty() || options.directory.empty() || options.run.empty() ||
      options.claim.empty() || options.line < 3) {
    return kUsage;
  }
  return run_runner(std::move(options));
}

int exec_child(const CommandLine& line) {
  provisioner::runner::TrampolineOptions options;
  options.parent = static_cast<pid_t>(line.number("parent", 0));
  options.group = line.number("group", 0) != 0;
  options.command = line.command;
  if (options.command.empty()) return kUsage;
  return run_trampoline(options);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  const CommandLine line(argc, argv);
  if (!line.is_wrong && role == "guard") return guard(line);
  if (!line.is_wrong && role == "run") return run(line);
  if (!line.is_wrong && role == "exec-child") return exec_child(line);
  std::fprintf(stderr, "provisioner-runner is started by provisioner: guard, run or exec-child\n");
  return kUsage;
}
