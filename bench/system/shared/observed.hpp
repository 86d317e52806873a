// Processes as /proc shows them, and the machine they share.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace provisioner::bench {

// Resident memory that is the process's alone or its share of what others map, too (Pss), and all
// that is resident (Rss), in megabytes. Throws when the process is gone.
struct Memory {
  double rss = 0;
  double pss = 0;
};
Memory memory_of(pid_t pid);
double peak_megabytes_of(pid_t pid);  // VmHWM

// User and system time that the process has used.
std::chrono::duration<double> cpu_time_of(pid_t pid);

// "load average 0.42" for the line beside the figures.
std::string load_average();

double seconds_since(std::chrono::steady_clock::time_point start);

// Starts a program and waits for its end; its exit code. Output goes to /dev/null.
int run_quietly(const std::vector<std::string>& arguments);

}  // namespace provisioner::bench
