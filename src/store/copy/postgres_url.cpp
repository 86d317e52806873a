#include <fmt/format.h>
#include <libpq-fe.h>

#include <charconv>
#include <memory>
#include <string_view>

#include "base/text.hpp"
#include "store/copy/copy_store.hpp"

namespace provisioner {
namespace {

constexpr const char* kShape = "postgres://USER@HOST:PORT/DATABASE";

// libpq's lists of hosts and ports: one port for all, or one for each.
Status read_hosts(std::string_view names, std::string_view ports, PostgresSettings& settings) {
  const auto all_names = split(names, ',');
  const auto all_ports = split(ports, ',');
  for (std::size_t i = 0; i < all_names.size(); ++i) {
    PostgresHost host{.name = std::string(all_names[i])};
    const auto port = all_ports.size() > i ? all_ports[i] : all_ports.back();
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), host.port);
    if (!port.empty() &&
        (error != std::errc() || end != port.data() + port.size() || host.port == 0)) {
      return fail(ErrorKind::kInvalid, fmt::format("\"{}\" is no port", port));
    }
    if (host.name.empty()) return fail(ErrorKind::kInvalid, "it names no host");
    settings.hosts.push_back(std::move(host));
  }
  return {};
}

}  // namespace

Result<PostgresSettings> parse_postgres_url(const std::string& url) {
  if (!url.starts_with("postgres://") && !url.starts_with("postgresql://")) {
    return fail(ErrorKind::kInvalid, fmt::format("\"{}\" is not {}", url, kShape));
  }
  char* why = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
      PQconninfoParse(url.c_str(), &why), PQconninfoFree);
  const std::unique_ptr<char, void (*)(void*)> message(why, PQfreemem);
  if (!options) {
    return fail(ErrorKind::kInvalid,
                fmt::format("it is not {}: {}", kShape, why == nullptr ? "" : trim(why)));
  }
  PostgresSettings settings;
  settings.database = settings.user = "";
  std::string hosts, ports;
  for (const auto* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view name = option->keyword;
    const std::string value = option->val;
    if (name == "host") {
      hosts = value;
    } else if (name == "port") {
      ports = value;
    } else if (name == "user") {
      settings.user = value;
    } else if (name == "dbname") {
      settings.database = value;
    } else if (name == "sslmode") {
      settings.sslmode = value;
    } else if (name == "sslrootcert") {
      settings.sslrootcert = value;
    } else if (name == "sslcert") {
      settings.sslcert = value;
    } else if (name == "sslkey") {
      settings.sslkey = value;
    } else if (name == "password") {
      return fail(ErrorKind::kInvalid,
                  "a password does not belong into arguments, which every process of the machine "
                  "may read: set PGPASSWORD or DATABASE_PASSWORD, or use ~/.pgpass");
    } else {
      return fail(ErrorKind::kInvalid, fmt::format("the parameter {} is not known here", name));
    }
  }
  if (settings.user.empty() || settings.database.empty()) {
    return fail(ErrorKind::kInvalid, fmt::format("user or database are missing: {}", kShape));
  }
  if (auto read = read_hosts(hosts, ports, settings); !read) return std::unexpected(read.error());
  return settings;
}

std::string postgres_url(const PostgresSettings& settings) {
  std::string hosts;
  for (const auto& host : settings.hosts) {
    hosts += fmt::format("{}{}:{}", hosts.empty() ? "" : ",", host.name, host.port);
  }
  return fmt::format("postgres://{}@{}/{}", settings.user, hosts, settings.database);
}

}  // namespace provisioner
