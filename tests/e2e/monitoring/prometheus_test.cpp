// deploy/monitoring with the real thing: promtool on the rules, and a Prometheus that scrapes three
// real daemons on PostgreSQL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <memory>
#include <regex>
#include <set>

#include "http/message.hpp"
#include "tests/e2e/monitoring/monitored.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr auto kPatience = 60s;

TEST(AlertRules, AreGoodByPromtool) {
  const auto checked = run_program({"promtool", "check", "rules", monitoring_file("alerts.yml")});
  EXPECT_EQ(checked.code, 0) << checked.out << checked.err;
  const auto config =
      run_program({"promtool", "check", "config", monitoring_file("prometheus.yml")});
  EXPECT_EQ(config.code, 0) << config.out << config.err;
}

TEST(AlertRules, FireWhenTheyShouldAndOnlyThen) {
  const auto tested =
      run_program({"promtool", "test", "rules", monitoring_file("alerts_test.yml")}, {}, 240s);
  EXPECT_EQ(tested.code, 0) << tested.out << tested.err;
}

// Each occurrence of `pattern`'s first group.
std::set<std::string> all_of(const std::string& text, const char* pattern) {
  const std::regex expression(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), expression), end; it != end; ++it) {
    found.insert((*it)[1]);
  }
  return found;
}

TEST(AlertRules, AreAllTestedAndAllSayWhatToDo) {
  const std::string rules = rules_text();
  const auto alerts = all_of(rules, R"re(- alert: (\w+))re");
  ASSERT_GT(alerts.size(), 15u);
  EXPECT_EQ(all_of(read_file(monitoring_file("alerts_test.yml")), R"re(alertname: (\w+))re"),
            alerts);
  static const std::regex one_rule(R"re(- alert: (\w+)([\s\S]*?)(?=- alert: |$(?![\s\S])))re");
  for (std::sregex_iterator it(rules.begin(), rules.end(), one_rule), end; it != end; ++it) {
    const std::string body = (*it)[2];
    EXPECT_THAT(body, HasSubstr("severity: ")) << (*it)[1];
    EXPECT_THAT(body, HasSubstr("summary: ")) << (*it)[1];
    EXPECT_THAT(body, HasSubstr("description: ")) << (*it)[1];
  }
}

class Monitored : public ::testing::Test {
 protected:
  static constexpr std::array kNames{"a", "b", "c"};

  Monitored() {
    for (const char* name : kNames) {
      auto& installation = daemons_.emplace_back(std::make_unique<Installation>());
      installation->environment = instance_on(postgres_, database_, name);
      installation->start();
    }
  }
  ~Monitored() override { daemons_.clear(); }

  // One that asks all daemons each second and applies the real rules.
  void start_prometheus() {
    std::string config = "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [" +
                         monitoring_file("alerts.yml").string() +
                         "]\nscrape_configs:\n  - job_name: provisioner\n    honor_labels: true\n"
                         "    static_configs:\n      - targets: [";
    for (const auto& daemon : daemons_) {
      std::string target = metrics_url(*daemon).substr(std::string("http://").size());
      target.resize(target.find('/'));
      config += "\"" + target + "\",";
    }
    config.back() = ']';
    write_file(directory_ / "prometheus.yml", config + "\n");
    prometheus_ = std::make_unique<Background>(
        std::vector<std::string>{"prometheus",
                                 "--config.file=" + (directory_ / "prometheus.yml").string(),
                                 "--storage.tsdb.path=" + (directory_ / "data").string(),
                                 "--web.listen-address=127.0.0.1:0"},
        Environment{}, directory_ / "prometheus.log");
    static const std::regex listening(R"re(Listening on" address=(127\.0\.0\.1:\d+))re");
    ASSERT_TRUE(eventually(kPatience, [&] {
      const std::string log = read_file(directory_ / "prometheus.log");
      std::smatch match;
      if (!std::regex_search(log, match, listening)) return false;
      address_ = "http://" + match[1].str();
      return fetch(address_ + "/-/ready").status == 200;
    })) << read_file(directory_ / "prometheus.log");
  }

  // The result of a query: null and a test failure when Prometheus does not take it.
  Json query(const std::string& expression) const {
    const auto answer =
        fetch(address_ + "/api/v1/query?query=" + http::encode_component(expression));
    if (answer.status != 200) {
      ADD_FAILURE() << expression << ": " << answer.body;
      return nullptr;
    }
    return Json::parse(answer.body).at("data").at("result");
  }
  // Of an expression with one result; nothing when there is another number of them.
  std::optional<double> number(const std::string& expression) const {
    const Json result = query(expression);
    if (!result.is_array() || result.size() != 1) return std::nullopt;
    return std::stod(result[0].at("value").at(1).get<std::string>());
  }
  bool becomes(const std::string& expression, double value) const {
    return eventually(kPatience, [&] { return number(expression) == value; });
  }
  std::string logs() const {
    std::string all;
    for (const auto& daemon : daemons_) all += daemon->log();
    return all;
  }
  int leader() const {
    for (std::size_t i = 0; i < daemons_.size(); ++i) {
      if (!daemons_[i]->has_daemon()) continue;
      const std::string series = std::string("provisioner_leader{instance=\"") + kNames[i] + "\"}";
      if (page_of(*daemons_[i])[series] == 1) return static_cast<int>(i);
    }
    return -1;
  }

  PostgresServer postgres_;
  std::string database_ = postgres_.take_database();
  TempDirectory directory_;
  std::vector<std::unique_ptr<Installation>> daemons_;
  std::unique_ptr<Background> prometheus_;
  std::string address_;
};

TEST_F(Monitored, PrometheusSeesOneLeaderAlsoAfterAFailoverAndLosesNobodyWithTheStore) {
  start_prometheus();
  EXPECT_TRUE(becomes("sum(up == 1)", 3)) << logs();
  EXPECT_TRUE(becomes("sum(provisioner_leader)", 1)) << logs();
  EXPECT_TRUE(becomes("sum(provisioner_ready)", 3)) << logs();
  EXPECT_TRUE(becomes("count(provisioner_build_info{store=\"postgresql\"})", 3));
  ASSERT_NE(leader(), -1);
  const double term = number("max(provisioner_term)").value_or(0);
  EXPECT_GT(term, 0);

  daemons_[static_cast<std::size_t>(leader())]->kill_daemon();
  EXPECT_TRUE(becomes("sum(up == 1)", 2));
  EXPECT_TRUE(becomes("sum(provisioner_leader)", 1)) << logs();
  EXPECT_TRUE(becomes("sum(provisioner_failovers_total)", 1)) << logs();
  // Who leads and who follows both know the new term.
  EXPECT_TRUE(eventually(kPatience, [&] {
    return number("min(provisioner_term)").value_or(0) > term;
  })) << logs();

  postgres_.stop();
  EXPECT_TRUE(becomes("sum(provisioner_store_up)", 0)) << logs();
  EXPECT_TRUE(becomes("sum(provisioner_leader)", 0)) << logs();
  EXPECT_EQ(number("sum(up == 1)"), 2) << "the pages need no store";
  EXPECT_TRUE(becomes("count(ALERTS{alertname=\"ProvisionerNoLeader\"})", 1));
  postgres_.start();
  EXPECT_TRUE(becomes("sum(provisioner_leader)", 1)) << logs();
  EXPECT_TRUE(becomes("sum(provisioner_store_up)", 2)) << logs();
}

TEST_F(Monitored, RulesAndDashboardAskForNothingThatIsNotThere) {
  start_prometheus();
  ASSERT_TRUE(becomes("sum(up == 1)", 3)) << logs();
  const Page page = page_of(*daemons_[0]);
  std::set<std::string> wanted;
  for (const auto& name : names_in(rules_text())) wanted.insert(name);
  for (const auto& expression : dashboard_expressions()) {
    const auto names = names_in(expression);
    EXPECT_FALSE(names.empty()) << expression;
    wanted.insert(names.begin(), names.end());
  }
  EXPECT_GT(wanted.size(), 25u);
  for (const auto& name : wanted) {
    EXPECT_TRUE(page.families.contains(name)) << name << " is not on the page";
  }

  // A panel whose labels do not fit is empty.
  for (const auto& expression : dashboard_expressions()) {
    const auto names = names_in(expression);
    if (expression.find("changes(") != std::string::npos) {
      query(expression);
      continue;
    }
    EXPECT_TRUE(eventually(kPatience, [&] {
      const Json result = query(expression);
      return result.is_array() && !result.empty();
    })) << expression;
  }

  Json rules;
  EXPECT_TRUE(eventually(kPatience, [&] {
    rules = Json::parse(fetch(address_ + "/api/v1/rules").body);
    return rules.dump().find("\"health\":\"unknown\"") == std::string::npos;
  })) << rules;
  EXPECT_THAT(rules.dump(), ::testing::Not(HasSubstr("\"health\":\"err\"")));
  EXPECT_THAT(rules.dump(), HasSubstr("ProvisionerNoLeader"));
}

}  // namespace
}  // namespace provisioner::testing
