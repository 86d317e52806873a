// The embedded store: one SQLite file, opened by one daemon.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <memory>

#include "store/store.hpp"

namespace provisioner {

// Opens or creates `file` (mode 0600), takes an exclusive lock on its directory's
// `provisioner.lock`, and applies the schema's migrations. Errors: kConflict when another daemon
// has it (names its pid), kCorrupt, kIo (read-only, disk full), kInvalid when its schema is newer
// than this program. One thread owns the connection; calls that arrive together commit together
// (group commit).
Result<std::unique_ptr<Store>> open_sqlite_store(const boost::asio::any_io_executor& loop,
                                                 const std::filesystem::path& file);

// An empty store in memory, without a thread: each call has committed before it suspends its
// caller. For simulations, in which a thread would decide what comes first.
Result<std::unique_ptr<Store>> open_sqlite_store_in_memory(
    const boost::asio::any_io_executor& loop);

}  // namespace provisioner
