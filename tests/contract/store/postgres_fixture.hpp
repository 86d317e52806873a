// Stores in databases of their own on the test program's PostgreSQL.
#pragma once

#include <memory>
#include <string>

#include "runtime/clock.hpp"
#include "store/postgres/postgres_store.hpp"
#include "tests/contract/store/store_contract.hpp"
#include "tests/support/postgres.hpp"

namespace provisioner {

// An empty database until its holder ends. Stores on it are closed before.
class Database {
 public:
  // With kMigrated the tables may be there already; the holder leaves them as they are.
  enum class Schema { kNone, kMigrated };

  explicit Database(testing::PostgresServer& server = testing::PostgresServer::shared(),
                    Schema schema = Schema::kNone)
      : server_(server),
        schema_(schema),
        name_(schema == Schema::kNone ? server.take_database() : server.take_migrated_database()) {}
  ~Database() {
    if (schema_ == Schema::kNone) {
      server_.give_back_database(name_);
    } else {
      server_.give_back_migrated_database(name_);
    }
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  PostgresSettings settings() const {
    PostgresSettings settings;
    settings.hosts = {{testing::PostgresServer::kHost, server_.port()}};
    settings.database = name_;
    settings.user = testing::PostgresServer::kUser;
    settings.password = testing::PostgresServer::kPassword;
    settings.connect_deadline = std::chrono::seconds(30);
    settings.statement_deadline = std::chrono::seconds(30);
    settings.call_deadline = std::chrono::seconds(60);
    return settings;
  }

  std::vector<std::string> execute(const std::string& sql) { return server_.execute(sql, name_); }

 private:
  testing::PostgresServer& server_;
  Schema schema_;
  std::string name_;
};

// Opens stores on one loop, with that loop's clock.
class PostgresOpener {
 public:
  Result<std::unique_ptr<Store>> operator()(boost::asio::io_context& loop,
                                            const PostgresSettings& settings) {
    if (!clock_) clock_ = std::make_shared<SystemClock>(loop.get_executor());
    return testing::run_task(
        loop, open_postgres_store(loop.get_executor(), *clock_, settings, counters_));
  }
  const PostgresCounters& counters() const { return *counters_; }

 private:
  std::shared_ptr<SystemClock> clock_;
  std::shared_ptr<PostgresCounters> counters_ = std::make_shared<PostgresCounters>();
};

}  // namespace provisioner
