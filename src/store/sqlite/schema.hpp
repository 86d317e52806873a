// The schema and its numbered, forward-only migrations.
#pragma once

#include <cstdint>

#include "store/sqlite/connection.hpp"

namespace provisioner::sqlite {

// Throws SqlError kCorrupt when the file is damaged; reads all of it.
void check_integrity(Connection& connection);

// The number of the newest schema that this program knows, and of the one that the file has (0: it
// is empty, or of another program).
std::int64_t newest_schema();
std::int64_t present_schema(Connection& connection);

// Brings the file to the newest schema, each migration in a transaction of its own, and returns its
// number. Throws SqlError: kInvalid for a schema newer than this program, or a file that belongs to
// another program; kCorrupt for a damaged one.
std::int64_t migrate(Connection& connection);

}  // namespace provisioner::sqlite
