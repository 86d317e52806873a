#include "scheduler/situation.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace provisioner {
namespace {

bool changes_state(const Run* run) {
  return run != nullptr &&
         (run->operation == Operation::kDeploy || run->operation == Operation::kDestroy);
}

template <typename Name>
std::string names_listed(const std::vector<Name>& names) {
  std::vector<std::string> texts;
  for (const Name& name : names) texts.push_back(name.value);
  return listed(texts);
}

}  // namespace

const Run* last_word(const Situation& s) {
  if (changes_state(s.queued)) return s.queued;
  if (changes_state(s.active)) return s.active;
  return nullptr;
}

std::string waits_for(const Neighbours& neighbours, Operation operation) {
  if (operation == Operation::kDeploy && !neighbours.not_deployed.empty()) {
    return fmt::format("{} to be deployed", names_listed(neighbours.not_deployed));
  }
  if (operation == Operation::kDestroy && !neighbours.still_there.empty()) {
    return fmt::format("{} to be destroyed", names_listed(neighbours.still_there));
  }
  if (operation == Operation::kDestroy && !neighbours.template_jobs.empty()) {
    return fmt::format("its template {} {} to be destroyed",
                       neighbours.template_jobs.size() == 1 ? "job" : "jobs",
                       names_listed(neighbours.template_jobs));
  }
  return "";
}

NewRun make_run(const Situation& s, Operation operation, std::string_view mode, Trigger trigger) {
  const bool destroy = operation == Operation::kDestroy;
  NewRun run;
  run.workspace = s.workspace.name;
  run.operation = operation;
  run.mode = destroy ? s.workspace.deployed_mode : std::string(mode);
  run.trigger = trigger;
  run.requested_by = to_string(trigger);
  run.definition = destroy && s.workspace.deployed ? *s.workspace.deployed : s.workspace.current;
  run.waiting_for = waits_for(s.neighbours, operation);
  run.created_at = s.now;
  return run;
}

}  // namespace provisioner
