// The content of an embedded store, copied to an empty PostgreSQL.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/task.hpp"
#include "store/postgres_settings.hpp"

namespace provisioner {

struct CopyRequest {
  std::filesystem::path state_dir;
  PostgresSettings target;
  std::string target_name;  // for people and for the mark, without a password
  bool dry_run = false;     // look at both sides and write to neither
};

struct CopyReport {
  struct Table {
    std::string name;
    std::int64_t rows = 0, bytes = 0;
    std::string digest;  // SHA-256 of its rows, the same on both sides
  };
  std::vector<Table> tables;
  std::int64_t texts_changed = 0;     // held what PostgreSQL's texts cannot: NUL, broken UTF-8
  std::int64_t kept_directories = 0;  // in spool/kept: they stay where they are
  bool done_before = false;           // an earlier copy had come to its end without knowing it
};

// All tables in one transaction, which is committed only when every row was read back and is the
// same: states and content byte for byte. The source is only read; a mark beside it (copy_mark.hpp)
// keeps daemons from it afterwards. Instances are not copied: they report themselves.
//
// kConflict: a daemon uses the source; attempts are running; the target has rows, or somebody uses
// it; the source was copied before. kNotFound: there is no embedded store. kCorrupt: the source is
// damaged, or a row was not the same; nothing was kept. kAmbiguous: the connection was lost while
// it committed; the same call again finds out. Others as open_postgres_store.
Task<Result<CopyReport>> copy_store(boost::asio::any_io_executor loop, Clock& clock,
                                    CopyRequest request);

// "postgres://user@host:5432,host2/name?sslmode=verify-full" as settings. kInvalid: no such URL, a
// password in it (every process of the machine may read arguments), or a parameter beyond sslmode,
// sslrootcert, sslcert and sslkey. Passwords come from elsewhere; libpq knows PGPASSWORD and
// .pgpass.
Result<PostgresSettings> parse_postgres_url(const std::string& url);

// The URL of settings, without a password.
std::string postgres_url(const PostgresSettings& settings);

}  // namespace provisioner
