// Rows of tofu's states and their locks, as every SQL store keeps them: the columns and their
// readers. `Row` is the store's own reader of columns from left to right.
#pragma once

#include <string_view>

#include "store/store.hpp"

namespace provisioner {

// In the order of read_state_version(). Bodies are large, and read only when asked for.
inline constexpr std::string_view kSelectStateVersions =
    "SELECT number, lineage, serial, sha256, resources, divergent, run, attempt, written_by, at "
    "FROM state_versions ";

template <typename Row>
StateVersion read_state_version(Row row) {
  StateVersion v;
  v.number = row.integer();
  v.meta = {.lineage = row.text(),
            .serial = row.integer(),
            .sha256 = row.text(),
            .resources = row.integer()};
  v.divergent = row.boolean();
  v.run = row.template optional_as<RunId>();
  v.attempt = row.template as<Attempt>();
  v.written_by = row.text();
  v.at = row.instant();
  return v;
}

// In the order of read_state_lock().
inline constexpr std::string_view kSelectStateLocks =
    "SELECT id, info_json, run, attempt, created_at FROM state_locks ";

template <typename Row>
StateLock read_state_lock(Row row) {
  return {.id = row.text(),
          .info_json = row.text(),
          .run = row.template optional_as<RunId>(),
          .attempt = row.template as<Attempt>(),
          .created_at = row.instant()};
}

}  // namespace provisioner
