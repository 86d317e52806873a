// The schema and its numbered, forward-only migrations.
#pragma once

#include <cstdint>

#include "runtime/task.hpp"
#include "store/postgres/pool.hpp"

namespace provisioner::postgres {

// Brings the database to the newest schema, one instance at a time (advisory lock), each migration
// in a transaction of its own, and returns its number. Throws SqlError: kInvalid for a schema newer
// than this program, or tables of another program; kDenied when the user may not create tables.
Task<std::int64_t> migrate(Pool& pool, BootInstant deadline);

}  // namespace provisioner::postgres
