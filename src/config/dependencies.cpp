#include <fmt/format.h>

#include <map>

#include "config/workspace_file.hpp"

namespace provisioner {
namespace {

enum class Mark { kNew, kOpen, kDone };

struct Walk {
  std::map<WorkspaceName, const WorkspaceSpec*> specs;
  std::map<WorkspaceName, Mark> marks;
  std::vector<DependencyProblem> problems;
};

// Depth first without recursion: a chain of dependencies may be as long as there are workspaces.
void walk_from(const WorkspaceSpec& start, Walk& walk) {
  struct Step {
    const WorkspaceSpec* spec;
    std::size_t next = 0;
  };
  std::vector<Step> path{{&start}};
  walk.marks[start.name] = Mark::kOpen;
  while (!path.empty()) {
    auto& step = path.back();
    if (step.next == step.spec->depends_on.size()) {
      walk.marks[step.spec->name] = Mark::kDone;
      path.pop_back();
      continue;
    }
    const auto& needed = step.spec->depends_on[step.next++];
    const auto found = walk.specs.find(needed);
    if (found == walk.specs.end()) {
      walk.problems.push_back(
          {step.spec->name,
           fmt::format("depends_on names \"{}\", which is no workspace", needed.value)});
      continue;
    }
    auto& mark = walk.marks[needed];
    if (mark == Mark::kNew) {
      mark = Mark::kOpen;
      path.push_back({found->second});
    } else if (mark == Mark::kOpen) {
      std::string circle;
      bool inside = false;
      for (const auto& each : path) {
        inside = inside || each.spec->name == needed;
        if (inside) circle += each.spec->name.value + " -> ";
      }
      walk.problems.push_back(
          {path.back().spec->name,
           fmt::format("depends_on goes round in a circle: {}{}", circle, needed.value)});
    }
  }
}

}  // namespace

std::vector<DependencyProblem> find_dependency_problems(const std::vector<WorkspaceSpec>& specs) {
  Walk walk;
  for (const auto& spec : specs) walk.specs.emplace(spec.name, &spec);
  for (const auto& spec : specs) {
    if (walk.marks[spec.name] == Mark::kNew) walk_from(spec, walk);
  }
  return std::move(walk.problems);
}

}  // namespace provisioner
