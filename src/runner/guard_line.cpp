#include "runner/guard_line.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace provisioner::runner {

bool tell_guard(int line, GuardRecord record) {
  const ssize_t sent = send(line, &record, sizeof(record), MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent >= 0 || (errno != EPIPE && errno != ECONNRESET && errno != ENOTCONN);
}

std::optional<GuardRecord> hear_runner(int line, bool& closed) {
  GuardRecord record;
  const ssize_t got = recv(line, &record, sizeof(record), MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno == ECONNRESET)) closed = true;
  if (got != static_cast<ssize_t>(sizeof(record))) return std::nullopt;
  return record;
}

}  // namespace provisioner::runner
