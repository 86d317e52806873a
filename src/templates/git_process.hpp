// One `git` command after the other, for one fetch.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "config/environment.hpp"

namespace provisioner {

// Ends what others wait for; stays so. Thread-safe.
class StopFlag {
 public:
  StopFlag();
  ~StopFlag();
  StopFlag(const StopFlag&) = delete;
  StopFlag& operator=(const StopFlag&) = delete;

  void raise() const;
  int fd() const { return fd_; }  // readable once raised

 private:
  int fd_ = -1;
};

struct GitAnswer {
  int code = 0;  // exit code, or 128 + signal
  std::string out;
  std::string err;  // its beginning
};

// Git as it is started for us: no prompts, no hooks, no transport but https, ssh and file, nothing
// of the daemon's environment but what a child may see. Blocking; used by one thread.
class Git {
 public:
  // All commands together end within `patience`. `environment` is the daemon's.
  static Result<Git> prepare(const Environment& environment, Duration patience,
                             std::shared_ptr<const StopFlag> stop);
  ~Git();
  Git(Git&& other) noexcept;
  Git(const Git&) = delete;
  Git& operator=(const Git&) = delete;

  // Nothing that it started lives on. kTimeout, kCancelled (the flag was raised), kInvalid (it
  // printed more than `most_output`), kNotFound (there is no git), kIo.
  Result<GitAnswer> run(std::vector<std::string> arguments,
                        std::size_t most_output = std::size_t{1} << 20);

 private:
  Git(std::vector<std::string> environment, int timer, std::shared_ptr<const StopFlag> stop);

  std::vector<std::string> environment_;
  int timer_ = -1;
  std::shared_ptr<const StopFlag> stop_;
};

}  // namespace provisioner
