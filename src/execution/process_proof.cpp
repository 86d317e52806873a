#include "execution/process_proof.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "base/text.hpp"
#include "runner/process_set.hpp"

namespace provisioner::execution {
namespace {

std::string first_line(const char* file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

}  // namespace

Habitat this_habitat() {
  Habitat here;
  here.machine_id = first_line("/etc/machine-id");
  here.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  std::error_code unreadable_stays_empty;
  here.pid_namespace =
      std::filesystem::read_symlink("/proc/self/ns/pid", unreadable_stays_empty).string();
  // PROC_PID_INIT_INO of the kernel: the namespace that the machine booted with.
  constexpr std::string_view kFirstNamespace = "pid:[4026531836]";
  std::error_code absent;
  here.container = here.pid_namespace != kFirstNamespace ||
                   std::filesystem::exists("/.dockerenv", absent) ||
                   std::filesystem::exists("/run/.containerenv", absent);
  return here;
}

Result<std::int64_t> start_time_of(pid_t pid) {
  const auto gone = [pid] {
    return fail(ErrorKind::kNotFound, fmt::format("no process {} lives", pid));
  };
  const std::string text = first_line(fmt::format("/proc/{}/stat", pid).c_str());
  // The name of a process may hold spaces and parentheses: fields count from the last one.
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return gone();
  const auto fields = split(trim(std::string_view(text).substr(name_end + 1)), ' ');
  constexpr std::size_t kState = 0, kStart = 19;  // 3 and 22 in proc(5)
  if (fields.size() <= kStart || fields[kState] == "Z" || fields[kState] == "X") return gone();
  std::int64_t start = 0;
  std::from_chars(fields[kStart].data(), fields[kStart].data() + fields[kStart].size(), start);
  return start;
}

bool is_process_set_empty(const RunId& run, Attempt attempt) {
  const auto set = std::make_unique<runner::ProcessSet>(runner::attempt_tag(run, attempt));
  return set->look(0, 0) == 0 && set->unclear() == 0;
}

Result<std::int64_t> kill_process_set(const RunId& run, Attempt attempt, Duration patience) {
  constexpr auto kPause = std::chrono::milliseconds(5);
  const std::string tag = runner::attempt_tag(run, attempt);
  const auto set = std::make_unique<runner::ProcessSet>(tag);
  // In the middle of its exec a process has no environment to be found by, on a busy machine for
  // long: such a look proves nothing. Not for ever: it may be a stranger that hangs there.
  constexpr int kEmptyLooks = 2;
  constexpr auto kLongestExec = std::chrono::seconds(2);
  std::int64_t blows = 0;
  int empty = 0;
  Duration unclear{0};
  for (Duration waited{0};; waited += kPause) {
    const bool found = set->look(0, 0) != 0;
    if (!found && set->unclear() > 0 && unclear < kLongestExec) {
      unclear += kPause;
      std::this_thread::sleep_for(kPause);
      continue;
    }
    empty = found ? 0 : empty + 1;
    if (empty == kEmptyLooks) return blows;
    if (found) {
      if (waited >= patience) {
        return fail(ErrorKind::kTimeout,
                    fmt::format("process {} of attempt {} outlives SIGKILL", set->any(), tag));
      }
      set->signal_all(SIGKILL);
      ++blows;
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace provisioner::execution
