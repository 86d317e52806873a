#include "runner/process_set.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace provisioner::runner {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

ssize_t read_some(int fd, char* into, std::size_t size) {
  while (true) {
    const ssize_t got = read(fd, into, size);
    if (got >= 0 || errno != EINTR) return got;
  }
}

struct Stat {
  bool lives = false;
  pid_t parent = 0;
  bool has_environment = false;  // false for the kernel's own, and in the middle of an exec
  bool is_kernels = false;
  std::int64_t start = 0;  // clock ticks since the machine's start
};

// The name of a process may hold spaces and parentheses: fields count from the last one.
Stat read_stat(int process_directory) {
  const Descriptor file(openat(process_directory, "stat", O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return {};
  std::array<char, 1024> buffer{};
  const ssize_t got = read_some(file.get(), buffer.data(), buffer.size());
  if (got <= 0) return {};
  std::string_view text(buffer.data(), static_cast<std::size_t>(got));
  const auto name_end = text.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 >= text.size()) return {};
  text.remove_prefix(name_end + 2);

  constexpr int kState = 3, kParent = 4, kFlags = 9, kThreads = 20,
                kStart = 22;  // as proc(5) counts
  constexpr int kEnvironmentEnd = 51;
  constexpr unsigned kKernelThread = 0x00200000;  // PF_KTHREAD
  Stat stat;
  char state = 'X';
  int threads = 0;
  unsigned flags = 0;
  for (int field = kState; field <= kEnvironmentEnd && !text.empty(); ++field) {
    const auto word = text.substr(0, text.find(' '));
    if (field == kState) state = word.empty() ? 'X' : word[0];
    if (field == kParent) std::from_chars(word.data(), word.data() + word.size(), stat.parent);
    if (field == kFlags) std::from_chars(word.data(), word.data() + word.size(), flags);
    if (field == kStart) std::from_chars(word.data(), word.data() + word.size(), stat.start);
    if (field == kEnvironmentEnd) stat.has_environment = word != "0";
    if (field == kThreads) std::from_chars(word.data(), word.data() + word.size(), threads);
    text.remove_prefix(std::min(word.size() + 1, text.size()));
  }
  stat.is_kernels = (flags & kKernelThread) != 0;
  // A process whose first thread has ended looks like a zombie while the other threads work.
  stat.lives = (state != 'Z' && state != 'X') || threads > 1;
  return stat;
}

}  // namespace

std::string attempt_tag(const RunId& run, Attempt attempt) {
  return run.value + "." + std::to_string(attempt.value);
}

bool has_children() {
  siginfo_t info{};
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}

ProcessSet::ProcessSet(std::string_view tag, Carriers carriers) : carriers_(carriers) {
  char* out = entry_.data() + 1;
  out = std::copy(kAttemptVariable.begin(), kAttemptVariable.end(), out);
  *out++ = '=';
  tag = tag.substr(0, 100);
  out = std::copy(tag.begin(), tag.end(), out);
  entry_size_ = static_cast<std::size_t>(out - entry_.data()) + 1;
}

// Absent, too, when there is not a byte of it.
ProcessSet::Tag ProcessSet::read_environment(int process_directory, bool& empty) const {
  empty = false;
  const Descriptor file(openat(process_directory, "environ", O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return Tag::kAbsent;
  const std::string_view entry(entry_.data(), entry_size_);
  // The end of one piece stays in front of the next, for an entry that lies across them. The first
  // variable has no NUL before it, so the first piece gets one.
  std::array<char, 16384> buffer;
  buffer[0] = '\0';
  std::size_t kept = 1;
  for (bool first = true;; first = false) {
    const ssize_t got = read_some(file.get(), buffer.data() + kept, buffer.size() - kept);
    if (got <= 0) {
      empty = first && got == 0;
      return Tag::kAbsent;
    }
    const std::string_view piece(buffer.data(), kept + static_cast<std::size_t>(got));
    if (piece.find(entry) != std::string_view::npos) return Tag::kCarried;
    kept = std::min(piece.size(), entry.size() - 1);
    std::memmove(buffer.data(), piece.data() + piece.size() - kept, kept);
  }
}

ProcessSet::Tag ProcessSet::look_for_tag(int process_directory) const {
  // What was opened before an exec reads as empty after it: hence another look.
  for (int looks = 0; looks < 2; ++looks) {
    bool empty = false;
    const Tag tag = read_environment(process_directory, empty);
    if (!empty) return tag;
    const Stat stat = read_stat(process_directory);
    if (!stat.lives || stat.is_kernels) return Tag::kAbsent;
    if (!stat.has_environment) return Tag::kUnclear;
  }
  return Tag::kAbsent;  // emptied on purpose
}

ProcessSet::Seen* ProcessSet::find(pid_t pid) {
  auto* const end = seen_.data() + count_;
  auto* const at = std::lower_bound(
      seen_.data(), end, pid, [](const Seen& seen, pid_t wanted) { return seen.pid < wanted; });
  return at != end && at->pid == pid ? at : nullptr;
}

std::size_t ProcessSet::look(pid_t root, pid_t spared) {
  count_ = unclear_ = 0;
  const Descriptor proc(open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (proc.get() < 0) return 0;
  if (carriers_ == Carriers::kBornAfterUs && oldest_carrier_ == 0) {
    const Descriptor self(openat(proc.get(), "self", O_PATH | O_CLOEXEC));
    if (self.get() >= 0) oldest_carrier_ = read_stat(self.get()).start;
  }
  alignas(dirent64) std::array<char, 16384> buffer;  // opendir(3) would use the heap
  while (true) {
    const ssize_t got = getdents64(proc.get(), buffer.data(), buffer.size());
    if (got <= 0) break;
    for (ssize_t at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      at += entry->d_reclen;
      pid_t pid = 0;
      const char* const name_end = entry->d_name + std::strlen(entry->d_name);
      const auto [stopped, error] = std::from_chars(entry->d_name, name_end, pid);
      if (error != std::errc() || stopped != name_end || count_ == kCapacity) continue;
      const Descriptor directory(openat(proc.get(), entry->d_name, O_PATH | O_CLOEXEC));
      const Stat stat = directory.get() < 0 ? Stat{} : read_stat(directory.get());
      if (!stat.lives) continue;
      const Tag tag = stat.start >= oldest_carrier_ ? look_for_tag(directory.get()) : Tag::kAbsent;
      seen_[count_++] = {pid, stat.parent, tag == Tag::kCarried, tag == Tag::kUnclear};
    }
  }
  std::sort(seen_.begin(), seen_.begin() + static_cast<std::ptrdiff_t>(count_),
            [](const Seen& a, const Seen& b) { return a.pid < b.pid; });

  for (bool grew = true; grew;) {
    grew = false;
    for (std::size_t i = 0; i < count_; ++i) {
      Seen& seen = seen_[i];
      if (seen.member || seen.parent == 0) continue;
      const Seen* parent = find(seen.parent);
      seen.member = seen.parent == root || (parent != nullptr && parent->member);
      grew = grew || seen.member;
    }
  }
  std::size_t living = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    Seen& seen = seen_[i];
    if (seen.pid == getpid() || seen.pid == spared) seen.member = seen.unclear = false;
    if (seen.member) ++living;
    if (!seen.member && seen.unclear) ++unclear_;
  }
  return living;
}

void ProcessSet::signal_all(int signal) const {
  for (std::size_t i = count_; i-- > 0;) {
    if (seen_[i].member) kill(seen_[i].pid, signal);
  }
}

pid_t ProcessSet::any() const {
  for (std::size_t i = 0; i < count_; ++i) {
    if (seen_[i].member) return seen_[i].pid;
  }
  return 0;
}

}  // namespace provisioner::runner
