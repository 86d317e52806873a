// In tofu's place where the way to it is measured, not tofu: writes the moment at which it began to
// a journal beside itself, one line a start, and succeeds.
//   <nanoseconds of CLOCK_REALTIME> <RUN_ID or "-"> <WORKSPACE_ID or "-"> <first argument>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

namespace {

const char* variable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "-" : value;
}

}  // namespace

int main(int argc, char** argv) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof(".journal"));
  if (length <= 0) return 1;
  memcpy(path + length, ".journal", sizeof(".journal"));
  char line[512];
  const int size =
      snprintf(line, sizeof(line), "%lld%09ld %s %s %s\n", static_cast<long long>(now.tv_sec),
               now.tv_nsec, variable("RUN_ID"), variable("WORKSPACE_ID"), argc > 1 ? argv[1] : "-");
  const int journal = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  // One write: lines of processes that start together do not mix.
  if (journal < 0 || write(journal, line, static_cast<size_t>(size)) != size) return 1;
  // Whoever plans is expected to leave a plan.
  for (int i = 1; i < argc; ++i) {
    if (strncmp(argv[i], "-out=", 5) == 0) {
      close(open(argv[i] + 5, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    }
  }
  return 0;
}
