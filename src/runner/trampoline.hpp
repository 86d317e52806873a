// Between the runner and tofu (or a custom command) stands the trampoline: tofu's parent, alive as
// long as tofu. It exists so that tofu gets exactly one SIGINT, whoever asks and whoever dies:
//
// - The runner asks (a cancel, the time is up): the trampoline interrupts, once.
// - The runner dies: the line closes, and the trampoline interrupts unless it has already.
// - The trampoline is killed: the kernel interrupts tofu (PR_SET_PDEATHSIG = SIGINT).
//
// Had tofu the runner as its parent, a runner that dies after a cancel would interrupt it twice,
// and a second SIGINT makes tofu skip its last state write. A custom command gets the signal to its
// process group, as Ctrl-C would do it.
//
// It also holds the reading ends of the child's output: without the runner the pipes would break,
// and SIGPIPE would end tofu at its next word, before it has saved its state.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace provisioner::runner {

// The descriptors that the runner gives it.
inline constexpr int kTrampolineLine = 3;    // SOCK_SEQPACKET to the runner
inline constexpr int kTrampolineOutput = 4;  // reading end of the child's standard output
inline constexpr int kTrampolineError = 5;   // and of its standard error

struct TrampolineOptions {
  pid_t parent = 0;                  // the runner; when it has died meanwhile, nothing is started
  bool group = false;                // a process group of its own; interrupts go to the group
  std::vector<std::string> command;  // path and arguments; no search in PATH
};

// What it tells the runner.
struct TrampolineRecord {
  enum class Kind : std::int32_t { kStarted = 1, kEnded = 2 };
  Kind kind = Kind::kStarted;
  std::int32_t pid = 0;     // of the child
  std::int32_t status = 0;  // kEnded: as waitpid gives it
};

// What the runner tells it: one byte.
inline constexpr char kInterrupt = 'I';

// The body of `provisioner-guard exec-child`. The exit code is 0 when the child was started and
// waited for; 125 when nothing was started. A command that cannot be executed ends with 127 and
// says why on standard error.
int run_trampoline(const TrampolineOptions& options);

}  // namespace provisioner::runner
