// Daemons with a page of metrics, and what a monitoring system sees of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/daemon.hpp"
#include "tests/support/postgres.hpp"

namespace provisioner::testing {

// The address that a launched daemon logged for its metrics: "http://127.0.0.1:45678/metrics".
// Waits for it; throws with the log where it never comes.
std::string metrics_url(const Installation& installation);

struct Fetched {
  int status = 0;  // 0: nobody answered
  std::string content_type, body;
};
Fetched fetch(const std::string& url);

// A page, taken apart: the value of each series as it stands there, e.g.
// `provisioner_workspaces_total{status="pending"}`, and the kind of each family.
struct Page {
  std::map<std::string, double> series;
  std::map<std::string, std::string> families;

  // Nothing when it is not there.
  std::optional<double> operator[](const std::string& name) const;
};
Page parse_page(const std::string& text);
Page page_of(const Installation& installation);

// The environment of one of several instances on one database.
Environment instance_on(const PostgresServer& server, const std::string& database,
                        const std::string& name);

// What of deploy/monitoring asks for numbers.
std::vector<std::string> dashboard_expressions();
std::string rules_text();
std::filesystem::path monitoring_file(std::string_view name);

// The names in an expression that look like those of our page, without _bucket, _sum and _count.
std::vector<std::string> names_in(const std::string& expression);

}  // namespace provisioner::testing
