#include "tests/support/postgres.hpp"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

constexpr std::chrono::seconds kPatience(60);

constexpr const char* kEndSessions =
    "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = "
    "current_database() AND pid <> pg_backend_pid()";

std::string binary(const std::string& name) {
  std::filesystem::path newest;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
    const auto candidate = entry.path() / "bin" / name;
    if (std::filesystem::exists(candidate) && candidate > newest) newest = candidate;
  }
  return newest.empty() ? name : newest.string();
}

// Whom root hands the server to.
const passwd& server_user() {
  for (const char* name : {"postgres", "nobody"}) {
    if (const passwd* user = getpwnam(name)) return *user;
  }
  throw std::runtime_error("there is neither a user postgres nor a user nobody");
}

// `arguments` as a user that PostgreSQL accepts, ended with this process at the latest.
std::vector<std::string> unprivileged(std::vector<std::string> arguments) {
  std::vector<std::string> all = {"setpriv", "--pdeathsig", "INT"};
  if (getuid() == 0) {
    all.push_back("--reuid=" + std::to_string(server_user().pw_uid));
    all.push_back("--regid=" + std::to_string(server_user().pw_gid));
    all.push_back("--clear-groups");
  }
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(fd);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

std::string connection_string(const PostgresServer& server, const std::string& database) {
  return "host=" + server.directory().string() + " port=" + std::to_string(server.port()) +

         " user=admin connect_timeout=30 options='-c client_min_messages=warning' dbname=" +
         database;
}

}  // namespace

PostgresServer& PostgresServer::shared() {
  static PostgresServer server;
  return server;
}

PostgresServer::PostgresServer(const std::vector<std::string>& configuration)
    : configuration_{"fsync=off",
                     "full_page_writes=off",
                     "shared_buffers=16MB",
                     "max_connections=60",
                     "listen_addresses=127.0.0.1",
                     "log_min_messages=warning",
                     "unix_socket_directories=" + directory_.path().string()} {
  configuration_.insert(configuration_.end(), configuration.begin(), configuration.end());
  give_directory_to_server_user();
  const auto made = run_program(
      unprivileged({binary("initdb"), "--no-sync", "--no-instructions", "--username=admin",
                    "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8",
                    "--locale=C", "-D", directory_ / "data"}),
      {}, kPatience);
  if (made.code != 0) throw std::runtime_error("initdb failed: " + made.out + made.err);
  start();
  execute("CREATE ROLE " + std::string(kUser) + " LOGIN PASSWORD '" + kPassword + "'");
}

PostgresServer::PostgresServer(PostgresServer& primary, std::uint16_t through)
    : configuration_(primary.configuration_) {
  configuration_.push_back("unix_socket_directories=" + directory_.path().string());
  configuration_.push_back("primary_conninfo=host=127.0.0.1 port=" + std::to_string(through) +
                           " user=follower password='" + kPassword + "'");
  give_directory_to_server_user();
  primary.execute("CREATE ROLE follower REPLICATION LOGIN PASSWORD '" + std::string(kPassword) +
                  "'");
  const auto made = run_program(
      unprivileged({binary("pg_basebackup"), "--host", primary.directory().string(), "--port",
                    std::to_string(primary.port()), "--username=admin", "--no-sync",
                    "--checkpoint=fast", "--write-recovery-conf", "-D", directory_ / "data"}),
      {}, kPatience);
  if (made.code != 0) throw std::runtime_error("pg_basebackup failed: " + made.out + made.err);
  start();
}

std::unique_ptr<PostgresServer> PostgresServer::standby_of(PostgresServer& primary,
                                                           std::uint16_t through) {
  return std::unique_ptr<PostgresServer>(new PostgresServer(primary, through));
}

void PostgresServer::give_directory_to_server_user() const {
  if (getuid() == 0 &&
      chown(directory_.path().c_str(), server_user().pw_uid, server_user().pw_gid) != 0) {
    throw std::runtime_error("chown failed");
  }
}

PostgresServer::~PostgresServer() {
  try {
    stop();
  } catch (const std::exception&) {
    kill_all();
  }
}

void PostgresServer::start() {
  // Somebody else may take the port between our look and the server's.
  constexpr int kTries = 5;
  const bool fixed = port_ != 0;
  for (int i = 0; i < kTries; ++i) {
    if (!fixed) port_ = free_port();
    std::vector<std::string> arguments = {binary("postgres"), "-D", directory_ / "data", "-p",
                                          std::to_string(port_)};
    for (const std::string& setting : configuration_) {
      arguments.insert(arguments.end(), {"-c", setting});
    }
    process_ =
        std::make_unique<Background>(unprivileged(arguments), Environment{}, directory_ / "log");
    const bool up = eventually(kPatience, [&] { return !process_->running() || ready(); });
    if (up && process_->running()) return;
    process_.reset();
  }
  throw std::runtime_error("PostgreSQL did not start: " + server_log());
}

bool PostgresServer::ready() const {
  return PQping(connection_string(*this, "postgres").c_str()) == PQPING_OK;
}

std::string PostgresServer::server_log() const { return read_file(directory_ / "log"); }

void PostgresServer::stop() {
  if (!process_) return;
  process_->signal(SIGCONT);
  process_->signal(SIGINT);
  if (process_->wait(kPatience) == -1) throw std::runtime_error("PostgreSQL did not stop");
  process_.reset();
}

void PostgresServer::kill_all() {
  if (!process_) return;
  process_->signal(SIGCONT);
  process_->signal(SIGQUIT);
  process_->wait(kPatience);
  process_.reset();
}

std::string PostgresServer::take_database() {
  if (!free_databases_.empty()) {
    const std::string name = free_databases_.back();
    free_databases_.pop_back();
    return name;
  }
  const std::string name = "test_" + std::to_string(++databases_);
  execute("CREATE DATABASE " + name + " OWNER " + kUser);
  execute("ALTER SCHEMA public OWNER TO " + std::string(kUser), name);
  return name;
}

std::string PostgresServer::take_migrated_database() {
  if (free_migrated_databases_.empty()) return take_database();
  const std::string name = free_migrated_databases_.back();
  free_migrated_databases_.pop_back();
  return name;
}

void PostgresServer::give_back_migrated_database(const std::string& name) {
  execute(kEndSessions, name);
  // Rows only, and without the checks of foreign keys: a TRUNCATE makes new files.
  execute(
      "SET session_replication_role = replica; DO $$ DECLARE name text; BEGIN FOR name IN SELECT "
      "tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations' "
      "LOOP EXECUTE format('DELETE FROM %I', name); END LOOP; END $$",
      name);
  free_migrated_databases_.push_back(name);
}

void PostgresServer::give_back_database(const std::string& name) {
  execute(kEndSessions, name);
  execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION " + std::string(kUser),
          name);
  free_databases_.push_back(name);
}

Environment PostgresServer::settings_of(const std::string& instance, const std::string& database,
                                        std::uint16_t port) const {
  return {{"INSTANCE_ID", instance},
          {"DATABASE_HOST", kHost},
          {"DATABASE_PORT", std::to_string(port)},
          {"DATABASE_NAME", database},
          {"DATABASE_USER", kUser},
          {"DATABASE_PASSWORD", kPassword}};
}

std::vector<std::string> PostgresServer::execute(const std::string& sql,
                                                 const std::string& database) {
  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(
      PQconnectdb(connection_string(*this, database).c_str()), PQfinish);
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection.get(), sql.c_str()),
                                                             PQclear);
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    throw std::runtime_error(sql + ": " + PQerrorMessage(connection.get()) + server_log());
  }
  std::vector<std::string> first_column;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    first_column.emplace_back(PQgetvalue(result.get(), row, 0));
  }
  return first_column;
}

}  // namespace provisioner::testing
