#include "app/elections.hpp"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "election/etcd/etcd_election.hpp"
#include "election/postgres/postgres_election.hpp"
#include "election/single.hpp"

namespace provisioner {
namespace {

Result<PostgresHost> read_host(std::string_view text, std::uint16_t default_port) {
  PostgresHost host{.name = std::string(text), .port = default_port};
  if (text.starts_with('/')) return host;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto bracket = text.find(']');
    if (bracket == std::string_view::npos) {
      return fail(ErrorKind::kInvalid, fmt::format("database.host: \"{}\" lacks its ]", text));
    }
    host.name = text.substr(1, bracket - 1);
    port = text.substr(bracket + 1);
  } else if (const auto colon = text.find(':');
             colon != std::string_view::npos && colon == text.rfind(':')) {
    host.name = text.substr(0, colon);
    port = text.substr(colon);
  }
  if (port.empty()) return host;
  const auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), host.port);
  if (port.front() != ':' || error != std::errc() || end != port.data() + port.size() ||
      host.port == 0 || host.name.empty()) {
    return fail(ErrorKind::kInvalid,
                fmt::format("database.host: \"{}\" is not HOST, HOST:PORT, an address or the "
                            "directory of a socket",
                            text));
  }
  return host;
}

Result<EtcdSettings> etcd_settings(const Settings& settings) {
  EtcdSettings etcd{.user = settings.etcd.user,
                    .password = settings.etcd.password,
                    .prefix = settings.etcd.prefix};
  bool needs_tls = false;
  for (const auto& url : settings.etcd.endpoints) {
    auto endpoint = http::Endpoint::parse(url);
    if (!endpoint) return fail("etcd.endpoints", endpoint.error());
    needs_tls = needs_tls || endpoint->tls;
    etcd.endpoints.push_back(std::move(*endpoint));
  }
  if (needs_tls) {
    auto tls = http::TlsContext::make(
        http::TlsRole::kClient,
        {.ca = settings.etcd.ca, .cert = settings.etcd.cert, .key = settings.etcd.key});
    if (!tls) return fail("etcd.ca, etcd.cert, etcd.key", tls.error());
    etcd.tls = std::move(*tls);
  }
  return etcd;
}

}  // namespace

Result<PostgresSettings> postgres_settings(const Settings& settings) {
  const auto& database = settings.database;
  PostgresSettings postgres{.hosts = {},
                            .database = database.name,
                            .user = database.user,
                            .password = database.password,
                            .sslmode = database.sslmode,
                            .sslrootcert = database.sslrootcert.string(),
                            .sslcert = database.sslcert.string(),
                            .sslkey = database.sslkey.string(),
                            .max_connections = database.max_connections,
                            .max_idle_conns = database.max_idle_conns,
                            .conn_max_lifetime = database.conn_max_lifetime,
                            .connect_deadline = database.connect_timeout,
                            .statement_deadline = database.statement_timeout,
                            .call_deadline = database.call_timeout};
  for (const auto& text : database.host) {
    auto host = read_host(text, static_cast<std::uint16_t>(database.port));
    if (!host) return std::unexpected(host.error());
    postgres.hosts.push_back(std::move(*host));
  }
  return postgres;
}

Result<std::unique_ptr<Election>> make_election(const boost::asio::any_io_executor& loop,
                                                Clock& clock, Random& random,
                                                const Settings& settings,
                                                const Incarnation& incarnation) {
  const auto& backend = settings.election.backend;
  if (backend == "single") return std::make_unique<SingleElection>(clock, settings.instance_id);

  const ElectionTiming timing{.ttl = settings.election.ttl,
                              .renew = settings.election.renew,
                              .margin = settings.election.margin,
                              .request = settings.election.request_timeout};
  if (const Status fits = timing.validate(); !fits) return std::unexpected(fits.error());
  if (backend == "postgres") {
    auto postgres = postgres_settings(settings);
    if (!postgres) return std::unexpected(postgres.error());
    return std::make_unique<PostgresElection>(loop, clock, random, std::move(*postgres), timing,
                                              settings.instance_id);
  }
  auto etcd = etcd_settings(settings);
  if (!etcd) return std::unexpected(etcd.error());
  return std::make_unique<EtcdElection>(loop, clock, random, std::move(*etcd), timing,
                                        settings.instance_id, incarnation);
}

}  // namespace provisioner
