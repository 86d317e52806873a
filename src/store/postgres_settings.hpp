// Where the PostgreSQL store is and how it is spoken to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace provisioner {

struct PostgresHost {
  std::string name;  // a name, an address, or the directory of a unix socket ("/run/postgresql")
  std::uint16_t port = 5432;
};

// Plain values, validated where they are read (config/). Deadlines count from the request.
struct PostgresSettings {
  std::vector<PostgresHost> hosts;  // tried in turn; only one that takes writes is used
  std::string database = "provisioner";
  std::string user = "provisioner";
  std::string password;  // "" = none
  std::string sslmode = "prefer";
  std::string instance;                      // part of what the server sees as application_name
  std::string sslrootcert, sslcert, sslkey;  // files, "" = libpq's default

  std::int64_t max_connections = 10;  // of this instance, beside two of its own
  std::int64_t max_idle_conns = 4;
  Duration conn_max_lifetime = std::chrono::minutes(30);

  Duration connect_deadline = std::chrono::seconds(5);     // for each host
  Duration statement_deadline = std::chrono::seconds(10);  // for each round trip
  Duration call_deadline = std::chrono::seconds(15);       // for a call with all its retries
};

}  // namespace provisioner
