// Names to addresses, off the loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "runtime/clock.hpp"
#include "runtime/task.hpp"

namespace provisioner::postgres {

// The addresses of a host's name, in the system's order; one that is an address already is its own.
// kUnavailable when the name is unknown or the resolver did not answer in time.
Task<Result<std::vector<std::string>>> resolve(boost::asio::any_io_executor loop, Clock& clock,
                                               std::string host, BootInstant deadline);

}  // namespace provisioner::postgres
