#include "model/job_order.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace provisioner {
namespace {

// Everybody left waits for somebody left, so the way along always comes back to itself.
std::string find_circle(const std::vector<JobSpec>& jobs,
                        const std::vector<std::set<std::size_t>>& waits_for, std::size_t start) {
  std::vector<std::size_t> way{start};
  while (true) {
    const std::size_t next = *waits_for[way.back()].begin();
    const auto begin = std::ranges::find(way, next);
    if (begin != way.end()) {
      std::string circle;
      for (auto it = begin; it != way.end(); ++it) circle += jobs[*it].name.value + " -> ";
      return circle + jobs[next].name.value;
    }
    way.push_back(next);
  }
}

}  // namespace

JobOrder order_of(const std::vector<JobSpec>& jobs) {
  std::map<JobName, std::size_t> index;
  for (std::size_t i = 0; i < jobs.size(); ++i) index.emplace(jobs[i].name, i);
  std::vector<std::set<std::size_t>> waits_for(jobs.size()), awaited_by(jobs.size());
  std::set<std::size_t> ready;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    for (const auto& needed : jobs[i].depends_on) {
      if (const auto found = index.find(needed); found != index.end()) {
        waits_for[i].insert(found->second);
        awaited_by[found->second].insert(i);
      }
    }
    if (waits_for[i].empty()) ready.insert(i);
  }
  JobOrder order{.positions = std::vector<std::size_t>(jobs.size()), .in_order = {}, .circle = ""};
  while (!ready.empty()) {
    const std::size_t first = *ready.begin();
    ready.erase(ready.begin());
    order.positions[first] = order.in_order.size();
    order.in_order.push_back(first);
    for (const std::size_t next : awaited_by[first]) {
      waits_for[next].erase(first);
      if (waits_for[next].empty()) ready.insert(next);
    }
  }
  if (order.in_order.size() == jobs.size()) return order;
  const auto stuck = std::ranges::find_if(waits_for, [](const auto& w) { return !w.empty(); });
  order.circle = find_circle(jobs, waits_for, static_cast<std::size_t>(stuck - waits_for.begin()));
  return order;
}

}  // namespace provisioner
