#include "scheduler/spec_cache.hpp"

namespace provisioner {
namespace {

Result<std::shared_ptr<const ParsedSpec>> parse(const SpecReader& read, const Zone& default_zone,
                                                const Workspace& workspace) {
  auto spec = read(workspace.name, workspace.current.config);
  if (!spec) return std::unexpected(spec.error());
  Zone zone = default_zone;
  if (spec->timezone) {
    auto found = Zone::find(*spec->timezone);
    if (!found) return std::unexpected(found.error());
    zone = *found;
  }
  Timeline timeline(spec->rules, zone, spec->dst);
  std::vector<Timeline> of_jobs;
  for (const JobSpec& job : spec->jobs) of_jobs.emplace_back(job.rules, zone, spec->dst);
  return std::make_shared<const ParsedSpec>(ParsedSpec{.spec = std::move(*spec),
                                                       .timeline = std::move(timeline),
                                                       .job_timelines = std::move(of_jobs)});
}

}  // namespace

Result<std::shared_ptr<const ParsedSpec>> SpecCache::get(const Workspace& workspace) {
  const std::size_t text_hash = std::hash<std::string>()(workspace.current.config);
  const auto known = entries_.find(workspace.name);
  if (known != entries_.end() && known->second.config_version == workspace.config_version &&
      known->second.text_hash == text_hash) {
    return known->second.parsed;
  }
  Entry entry{.config_version = workspace.config_version,
              .text_hash = text_hash,
              .parsed = parse(read_, default_zone_, workspace)};
  return entries_.insert_or_assign(workspace.name, std::move(entry)).first->second.parsed;
}

}  // namespace provisioner
