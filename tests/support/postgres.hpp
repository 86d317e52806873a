// A real PostgreSQL of the test's own: in a temporary directory, on a free port of 127.0.0.1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/program.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::testing {

// Binaries are those of the newest /usr/lib/postgresql, else of PATH. PostgreSQL refuses to run as
// root: it is then started as the user postgres, or nobody. Not thread-safe.
class PostgresServer {
 public:
  // What to put into its configuration, e.g. {"fsync=on"}; by default it forgets what a crash of
  // the machine would lose, and is quick.
  explicit PostgresServer(const std::vector<std::string>& configuration = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // Another that follows `primary`, asynchronously, through a port of 127.0.0.1 that leads there.
  static std::unique_ptr<PostgresServer> standby_of(PostgresServer& primary, std::uint16_t through);

  // One for the whole test program, started when it is first wanted.
  static PostgresServer& shared();

  std::uint16_t port() const { return port_; }
  static constexpr const char* kHost = "127.0.0.1";
  static constexpr const char* kUser = "provisioner";  // may do what an ordinary user may
  static constexpr const char* kPassword = "a password";

  // An empty database that kUser owns, until it is given back: then its sessions are ended, and it
  // is emptied for the next (making one takes a second of a busy machine).
  std::string take_database();
  void give_back_database(const std::string& name);

  // One that may have tables already, all of them empty but schema_migrations: whoever gives it
  // back has changed nothing of its schema. Spares the migrations, which cost more than most cases.
  std::string take_migrated_database();
  void give_back_migrated_database(const std::string& name);

  // What a daemon called `instance` needs to have its store in `database`; `port` is this server's,
  // or of somebody who passes on what is said.
  Environment settings_of(const std::string& instance, const std::string& database,
                          std::uint16_t port) const;

  // As an administrator; the first column of what it returns.
  std::vector<std::string> execute(const std::string& sql,
                                   const std::string& database = "postgres");

  void stop();      // ends its sessions, as an administrator would
  void kill_all();  // as a loss of power of its machine
  void start();     // on the same port
  void signal(int number) { process_->signal(number); }  // of the postmaster

  const std::filesystem::path& directory() const { return directory_.path(); }

 private:
  PostgresServer(PostgresServer& primary, std::uint16_t through);
  void give_directory_to_server_user() const;
  bool ready() const;
  std::string server_log() const;

  TempDirectory directory_;
  std::vector<std::string> configuration_;
  std::uint16_t port_ = 0;
  int databases_ = 0;
  std::vector<std::string> free_databases_;
  std::vector<std::string> free_migrated_databases_;
  std::unique_ptr<Background> process_;
};

}  // namespace provisioner::testing
