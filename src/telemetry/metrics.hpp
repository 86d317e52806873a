// Numbers for Prometheus: counted as things happen or asked for at a scrape, and rendered as a
// page.
#pragma once

#include <array>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace provisioner {

enum class MetricKind { kCounter, kGauge, kHistogram };
std::string_view to_string(MetricKind kind);  // "counter", ...

// A family of the page. Which there are: telemetry/metric_catalogue.hpp.
struct MetricInfo {
  std::string_view name;
  MetricKind kind = MetricKind::kGauge;
  std::string_view help;                          // a sentence without its full stop
  std::array<std::string_view, 2> label_names{};  // "" = fewer
  std::span<const double> bounds{};               // of a histogram's buckets, ascending

  std::size_t label_count() const;
};

struct MetricSample {
  std::vector<std::string> labels;  // values, in the order of the names
  double value = 0;
};

// Label values are given in the order of MetricInfo::label_names, as many as there are. They must
// come from a set that users cannot make grow: each combination is a time series for ever. Loop
// only.
class Metrics {
 public:
  using Labels = std::initializer_list<std::string_view>;

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // On the page from now on, with 0: the first event is then an increase and not a beginning.
  void begin(const MetricInfo& counter_or_histogram, Labels labels = {});

  void add(const MetricInfo& counter, Labels labels = {}, double by = 1);

  void observe(const MetricInfo& histogram, Labels labels, double value);

  // What is counted elsewhere already, a counter or a gauge: asked at each scrape, on the loop, so
  // it must be quick and read memory alone. No samples: the family is left out. A family with
  // several sources has the samples of all.
  using Source = std::function<std::vector<MetricSample>()>;
  void at_scrape(const MetricInfo& info, Source source);
  void at_scrape(const MetricInfo& info, std::function<double()> value);  // without labels

  // In the text format 0.0.4, whose content type is kContentType; families by name.
  std::string page() const;

  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace provisioner
