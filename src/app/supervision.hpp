// A small parent of the daemon: it sees the daemon's end, and that is a proof which frees the
// leadership at once instead of after its time to live.
#pragma once

#include <functional>
#include <string>

#include "base/error.hpp"

namespace provisioner {

struct Supervised {
  // The daemon, in a process of its own; writes its release tokens into the pipe, a line each.
  // Returns its exit code.
  std::function<int(int token_pipe)> serve;
  // Frees the leadership of a daemon that is dead. In the parent, and short.
  std::function<Status(const std::string& token)> release;
  // What happened, as a sentence.
  std::function<void(const std::string&)> report;
};

// Called before anything is opened and before there are threads. Passes SIGTERM, SIGINT, SIGHUP and
// SIGQUIT on, reaps whatever it inherits (it may be a container's first process), and returns when
// the daemon has ended: its exit code. A daemon that a signal ended, and that nobody asked to stop,
// is started again, after 100 ms doubling to 10 s when it does so often. When only the parent dies,
// the daemon goes on.
int supervise(const Supervised& supervised);

}  // namespace provisioner
