// The page that Prometheus reads, and the table that documents it.
#include "telemetry/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "telemetry/metric_catalogue.hpp"

namespace provisioner {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kBounds[] = {0.5, 2};
constexpr MetricInfo kBirds{"birds_total", MetricKind::kCounter, "Birds seen", {"kind", "place"}};
constexpr MetricInfo kNests{"nests", MetricKind::kGauge, "Nests", {"place"}};
constexpr MetricInfo kEggs{"eggs", MetricKind::kGauge, "Eggs"};
constexpr MetricInfo kFlight{
    "flight_seconds", MetricKind::kHistogram, "Time in the air", {}, kBounds};

TEST(MetricsPage, CountsByLabels) {
  Metrics metrics;
  metrics.add(kBirds, {"wren", "wood"});
  metrics.add(kBirds, {"wren", "wood"}, 2);
  metrics.add(kBirds, {"crow", "town"});
  EXPECT_EQ(metrics.page(),
            "# HELP birds_total Birds seen\n"
            "# TYPE birds_total counter\n"
            "birds_total{kind=\"crow\",place=\"town\"} 1\n"
            "birds_total{kind=\"wren\",place=\"wood\"} 3\n");
}

TEST(MetricsPage, ShowsWhatHasBegunBeforeItHappened) {
  Metrics metrics;
  metrics.begin(kBirds, {"wren", "wood"});
  metrics.begin(kFlight);
  EXPECT_THAT(metrics.page(), HasSubstr("birds_total{kind=\"wren\",place=\"wood\"} 0\n"));
  EXPECT_THAT(metrics.page(), HasSubstr("flight_seconds_count 0\n"));
  metrics.add(kBirds, {"wren", "wood"});
  metrics.begin(kBirds, {"wren", "wood"});
  EXPECT_THAT(metrics.page(), HasSubstr("birds_total{kind=\"wren\",place=\"wood\"} 1\n"));
}

TEST(MetricsPage, PutsWhatWasObservedIntoBuckets) {
  Metrics metrics;
  for (const double seconds : {0.1, 1.0, 1.5, 7.0}) metrics.observe(kFlight, {}, seconds);
  const std::string page = metrics.page();
  EXPECT_THAT(page, HasSubstr("# TYPE flight_seconds histogram\n"));
  EXPECT_THAT(page, HasSubstr("flight_seconds_bucket{le=\"0.5\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("flight_seconds_bucket{le=\"2\"} 3\n"));
  EXPECT_THAT(page, HasSubstr("flight_seconds_bucket{le=\"+Inf\"} 4\n"));
  EXPECT_THAT(page, HasSubstr("flight_seconds_count 4\n"));
}

TEST(MetricsPage, AsksItsSourcesAtEachScrape) {
  Metrics metrics;
  int eggs = 3;
  metrics.at_scrape(kEggs, [&eggs] { return static_cast<double>(eggs); });
  EXPECT_THAT(metrics.page(), HasSubstr("# TYPE eggs gauge\neggs 3\n"));
  eggs = 4;
  EXPECT_THAT(metrics.page(), HasSubstr("eggs 4\n"));
}

TEST(MetricsPage, GathersTheSamplesOfAllSourcesInOneFamily) {
  Metrics metrics;
  const auto source = [](std::string place, double value) {
    return [=]() -> std::vector<MetricSample> { return {{.labels = {place}, .value = value}}; };
  };
  metrics.at_scrape(kNests, source("wood", 2));
  metrics.at_scrape(kNests, source("town", 1));
  EXPECT_EQ(metrics.page(),
            "# HELP nests Nests\n# TYPE nests gauge\nnests{place=\"town\"} 1\n"
            "nests{place=\"wood\"} 2\n");
}

TEST(MetricsPage, LeavesOutAFamilyOfWhichNothingIsKnown) {
  Metrics metrics;
  metrics.at_scrape(kNests, [] { return std::vector<MetricSample>(); });
  EXPECT_EQ(metrics.page(), "");
}

TEST(MetricsPage, EscapesLabelValues) {
  Metrics metrics;
  metrics.add(kBirds, {"a \"great\" tit", "back\\slash\nline"});
  EXPECT_THAT(metrics.page(),
              HasSubstr(R"(birds_total{kind="a \"great\" tit",place="back\\slash\nline"} 1)"));
}

TEST(MetricCatalogue, FollowsTheHabitsOfPrometheus) {
  const std::regex good_name("[a-z][a-z0-9_]*");
  std::set<std::string_view> names;
  for (const MetricInfo& info : metric_catalogue()) {
    const std::string name(info.name);
    EXPECT_TRUE(names.insert(info.name).second) << name << " stands there twice";
    EXPECT_TRUE(std::regex_match(name, good_name)) << name;
    EXPECT_FALSE(info.help.empty() || info.help.ends_with('.')) << name;
    const bool is_total = info.name.ends_with("_total");
    // A gauge in spite of its name, as operators of the predecessor know it.
    if (info.name != "provisioner_workspaces_total") {
      EXPECT_EQ(is_total, info.kind == MetricKind::kCounter) << name;
    }
    EXPECT_EQ(!info.bounds.empty(), info.kind == MetricKind::kHistogram) << name;
    EXPECT_TRUE(std::ranges::is_sorted(info.bounds)) << name;
    for (std::size_t i = 0; i < info.label_count(); ++i) {
      EXPECT_TRUE(std::regex_match(std::string(info.label_names[i]), good_name)) << name;
      // Users make workspaces, runs and tokens without end.
      EXPECT_THAT(info.label_names[i], Not(::testing::AnyOf("workspace", "run", "run_id", "token",
                                                            "path", "job", "template")))
          << name;
    }
  }
  EXPECT_GT(names.size(), 30u);
}

TEST(MetricCatalogue, IsDocumented) {
  std::ifstream file(PROVISIONER_SOURCE_DIR "/docs/metrics.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), metrics_table_markdown())
      << "run: build/release/bin/provisioner config metrics > docs/metrics.md";
}

}  // namespace
}  // namespace provisioner
