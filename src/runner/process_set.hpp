// The living processes of an attempt, found in /proc: every descendant of a root process, and every
// process whose environment carries the attempt's tag (a process may lose its parents by double
// forking, or its environment by clearing it, but the guard and the runner are subreapers, so that
// no descendant escapes while they live).
//
// Uses no heap, so that the guard can work when memory is short. Reading /proc takes milliseconds.
// Not thread-safe. 900 KB, of which only the used part becomes resident: make it static or heap.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.hpp"

namespace provisioner::runner {

// The variable that every process of an attempt carries, the guard included, and its value.
inline constexpr std::string_view kAttemptVariable = "PROVISIONER_ATTEMPT";
std::string attempt_tag(const RunId& run, Attempt attempt);  // "<run>.<attempt>"

// Whether this process has a child that lives, or one that is dead and nobody has waited for. The
// kernel gives a subreaper every orphan among its descendants, so without a child it has none of
// them either: that is proved by one call, where a look at /proc takes a millisecond.
bool has_children();

class ProcessSet {
 public:
  // At most this many processes of the whole machine are looked at.
  static constexpr std::size_t kCapacity = 65536;

  // Which processes may carry the tag. Of those that began before the guard or the runner none
  // does, and to leave them out makes a look several times cheaper.
  enum class Carriers { kAny, kBornAfterUs };

  // `tag` is at most 100 bytes long; the rest is cut.
  explicit ProcessSet(std::string_view tag, Carriers carriers = Carriers::kAny);

  // Looks at /proc. Descendants of `root` (0 = none) and carriers of the tag, but neither this
  // process, nor `spared` (0 = none), nor the dead that nobody has waited for. Returns how many
  // live.
  std::size_t look(pid_t root, pid_t spared);
  // How many of those that look() did not count may carry the tag after all: in the middle of its
  // exec a process has no environment to be seen.
  std::size_t unclear() const { return unclear_; }

  // Sends `signal` to each process that look() found, the youngest first: a child is dead before
  // its parent's death could interrupt it.
  void signal_all(int signal) const;

  // One that look() found, for messages; 0 = none.
  pid_t any() const;

 private:
  struct Seen {
    pid_t pid;
    pid_t parent;
    bool member;
    bool unclear;
  };

  enum class Tag { kAbsent, kCarried, kUnclear };
  Tag read_environment(int process_directory, bool& empty) const;
  Tag look_for_tag(int process_directory) const;
  Seen* find(pid_t pid);

  std::array<char, 128> entry_{};  // NUL PROVISIONER_ATTEMPT=<tag> NUL, as in environ
  std::size_t entry_size_ = 0;
  Carriers carriers_;
  std::int64_t oldest_carrier_ = 0;   // clock ticks since the machine's start, as /proc says it
  std::array<Seen, kCapacity> seen_;  // not initialised: zeroing would make all of it resident
  std::size_t count_ = 0;
  std::size_t unclear_ = 0;
};

}  // namespace provisioner::runner
