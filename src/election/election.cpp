#include "election/election.hpp"

#include <fmt/format.h>

namespace provisioner {

Status ElectionTiming::validate() const {
  if (renew <= Duration(0) || renew * 3 > ttl) {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("election: renewing every {} leaves no room for two lost renewals in a "
                    "ttl of {}: the ttl must be at least {}",
                    format_duration(renew), format_duration(ttl), format_duration(renew * 3)));
  }
  if (margin < Duration(0) || margin + renew >= ttl) {
    return fail(ErrorKind::kInvalid,
                fmt::format("election: a margin of {} leaves nothing of a ttl of {}",
                            format_duration(margin), format_duration(ttl)));
  }
  if (request <= Duration(0) || request > renew) {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("election: a request may take {}, but the next renewal is due after {}: "
                    "lower the one or raise the other",
                    format_duration(request), format_duration(renew)));
  }
  return {};
}

}  // namespace provisioner
