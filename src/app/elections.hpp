// From settings to the store's and the election's own.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "config/settings.hpp"
#include "election/election.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "store/postgres_settings.hpp"

namespace provisioner {

// kInvalid: database.host holds what is no host.
Result<PostgresSettings> postgres_settings(const Settings& settings);

// The election that election.backend names; connects to nothing yet. `clock` and `random` outlive
// it. kInvalid, kNotFound, kDenied: names the setting, and what is wrong with it.
Result<std::unique_ptr<Election>> make_election(const boost::asio::any_io_executor& loop,
                                                Clock& clock, Random& random,
                                                const Settings& settings,
                                                const Incarnation& incarnation);

}  // namespace provisioner
