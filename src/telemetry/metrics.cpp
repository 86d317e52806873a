#include "telemetry/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cassert>
#include <map>
#include <utility>

namespace provisioner {
namespace {

prometheus::Labels labels_of(const MetricInfo& info, Metrics::Labels values) {
  assert(values.size() == info.label_count());
  prometheus::Labels labels;
  std::size_t i = 0;
  for (const std::string_view value : values) labels.emplace(info.label_names[i++], value);
  return labels;
}

prometheus::ClientMetric render(const MetricInfo& info, MetricSample sample) {
  assert(sample.labels.size() == info.label_count());
  prometheus::ClientMetric metric;
  for (std::size_t i = 0; i < sample.labels.size(); ++i) {
    metric.label.push_back({std::string(info.label_names[i]), std::move(sample.labels[i])});
  }
  if (info.kind == MetricKind::kCounter) {
    metric.counter.value = sample.value;
  } else {
    metric.gauge.value = sample.value;
  }
  return metric;
}

}  // namespace

std::string_view to_string(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter: return "counter";
    case MetricKind::kGauge: return "gauge";
    case MetricKind::kHistogram: return "histogram";
  }
  return "";
}

std::size_t MetricInfo::label_count() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(label_names, [](std::string_view name) { return !name.empty(); }));
}

struct Metrics::State {
  prometheus::Registry registry;
  std::map<std::string_view, prometheus::Family<prometheus::Counter>*> counters;
  std::map<std::string_view, prometheus::Family<prometheus::Histogram>*> histograms;
  std::vector<std::pair<MetricInfo, Source>> sources;

  prometheus::Counter& counter(const MetricInfo& info, Labels labels) {
    assert(info.kind == MetricKind::kCounter);
    auto& family = counters[info.name];
    if (family == nullptr) {
      family = &prometheus::BuildCounter()
                    .Name(std::string(info.name))
                    .Help(std::string(info.help))
                    .Register(registry);
    }
    return family->Add(labels_of(info, labels));
  }

  prometheus::Histogram& histogram(const MetricInfo& info, Labels labels) {
    assert(info.kind == MetricKind::kHistogram);
    auto& family = histograms[info.name];
    if (family == nullptr) {
      family = &prometheus::BuildHistogram()
                    .Name(std::string(info.name))
                    .Help(std::string(info.help))
                    .Register(registry);
    }
    return family->Add(labels_of(info, labels), prometheus::Histogram::BucketBoundaries(
                                                    info.bounds.begin(), info.bounds.end()));
  }
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::begin(const MetricInfo& info, Labels labels) {
  if (info.kind == MetricKind::kCounter) {
    state_->counter(info, labels);
  } else {
    state_->histogram(info, labels);
  }
}

void Metrics::add(const MetricInfo& counter, Labels labels, double by) {
  state_->counter(counter, labels).Increment(by);
}

void Metrics::observe(const MetricInfo& histogram, Labels labels, double value) {
  state_->histogram(histogram, labels).Observe(value);
}

void Metrics::at_scrape(const MetricInfo& info, Source source) {
  assert(info.kind != MetricKind::kHistogram);
  state_->sources.emplace_back(info, std::move(source));
}

void Metrics::at_scrape(const MetricInfo& info, std::function<double()> value) {
  at_scrape(info, Source([value = std::move(value)] {
              return std::vector<MetricSample>{{.labels = {}, .value = value()}};
            }));
}

std::string Metrics::page() const {
  std::map<std::string, prometheus::MetricFamily> families;
  for (auto& family : state_->registry.Collect()) {
    if (!family.metric.empty()) families.emplace(family.name, std::move(family));
  }
  for (const auto& [info, source] : state_->sources) {
    auto samples = source();
    if (samples.empty()) continue;
    auto& family = families[std::string(info.name)];
    family.name = info.name;
    family.help = info.help;
    family.type = info.kind == MetricKind::kCounter ? prometheus::MetricType::Counter
                                                    : prometheus::MetricType::Gauge;
    for (auto& sample : samples) family.metric.push_back(render(info, std::move(sample)));
  }
  std::vector<prometheus::MetricFamily> sorted;
  for (auto& [name, family] : families) {
    // The library keeps them in the order of a hash.
    std::ranges::sort(family.metric, {}, &prometheus::ClientMetric::label);
    sorted.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(sorted);
}

}  // namespace provisioner
