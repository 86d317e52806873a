#include "tests/e2e/monitoring/monitored.hpp"

#include <regex>
#include <sstream>
#include <stdexcept>

#include "tests/support/eventually.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::testing {

std::string metrics_url(const Installation& installation) {
  static const std::regex address(R"re("address":"(http://[^"]+/metrics)")re");
  std::string url;
  const bool found = eventually(std::chrono::seconds(60), [&] {
    const std::string log = installation.log();
    // The last one is that of the last start.
    for (std::sregex_iterator it(log.begin(), log.end(), address), end; it != end; ++it) {
      url = (*it)[1];
    }
    return !url.empty();
  });
  if (!found) throw std::runtime_error("no listener for metrics:\n" + installation.log());
  return url;
}

Fetched fetch(const std::string& url) {
  const auto answer = run_program(
      {"curl", "-sS", "--max-time", "10", "-o", "-", "-w", "\n%{http_code} %{content_type}", url});
  if (answer.code != 0) return {.status = 0, .content_type = "", .body = answer.err};
  const auto last = answer.out.rfind('\n');
  const std::string said = answer.out.substr(last + 1);
  return {.status = std::stoi(said),
          .content_type = said.substr(said.find(' ') + 1),
          .body = answer.out.substr(0, last)};
}

std::optional<double> Page::operator[](const std::string& name) const {
  const auto found = series.find(name);
  return found == series.end() ? std::nullopt : std::optional(found->second);
}

Page parse_page(const std::string& text) {
  Page page;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      const auto space = line.rfind(' ');
      page.families[line.substr(7, space - 7)] = line.substr(space + 1);
    } else if (!line.empty() && line[0] != '#') {
      const auto space = line.rfind(' ');
      page.series[line.substr(0, space)] = std::stod(line.substr(space + 1));
    }
  }
  return page;
}

Page page_of(const Installation& installation) {
  return parse_page(fetch(metrics_url(installation)).body);
}

Environment instance_on(const PostgresServer& server, const std::string& database,
                        const std::string& name) {
  return {{"INSTANCE_ID", name},
          {"DATABASE_HOST", PostgresServer::kHost},
          {"DATABASE_PORT", std::to_string(server.port())},
          {"DATABASE_NAME", database},
          {"DATABASE_USER", PostgresServer::kUser},
          {"DATABASE_PASSWORD", PostgresServer::kPassword},
          {"PROVISIONER_ELECTION_TTL", "2s"},
          {"PROVISIONER_ELECTION_RENEW", "500ms"},
          {"PROVISIONER_ELECTION_MARGIN", "300ms"},
          {"PROVISIONER_METRICS_LISTEN", "127.0.0.1:0"},
          {"PROVISIONER_CHANGE_SETTLE", "200ms"}};
}

std::filesystem::path monitoring_file(std::string_view name) {
  return std::filesystem::path(PROVISIONER_SOURCE_DIR) / "deploy" / "monitoring" / name;
}

std::string rules_text() { return read_file(monitoring_file("alerts.yml")); }

std::vector<std::string> dashboard_expressions() {
  const Json dashboard = Json::parse(read_file(monitoring_file("grafana-dashboard.json")));
  std::vector<std::string> expressions;
  const auto take = [&](const std::string& text) {
    std::string plain = std::regex_replace(text, std::regex(R"(\$__rate_interval)"), "1m");
    plain = std::regex_replace(plain, std::regex(R"(\$(job|instance))"), ".*");
    expressions.push_back(plain);
  };
  for (const Json& panel : dashboard.at("panels")) {
    for (const Json& target : panel.value("targets", Json::array())) take(target.at("expr"));
  }
  for (const Json& note : dashboard.at("annotations").at("list")) take(note.at("expr"));
  return expressions;
}

std::vector<std::string> names_in(const std::string& expression) {
  static const std::regex name(R"re(\b(provisioner|http|process)_[a-z_]+)re");
  static const std::regex part_of_histogram(R"re((_seconds)_(bucket|sum|count)$)re");
  std::vector<std::string> names;
  for (std::sregex_iterator it(expression.begin(), expression.end(), name), end; it != end; ++it) {
    names.push_back(std::regex_replace(it->str(), part_of_histogram, "$1"));
  }
  return names;
}

}  // namespace provisioner::testing
