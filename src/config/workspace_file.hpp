// workspaces/<name>/config.json: parse, validate, explain. Pure, but for the first use of a time
// zone, which reads its file. Thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "model/workspace_spec.hpp"

namespace provisioner {

inline constexpr std::size_t kMostConfigBytes = 1024 * 1024;
// kInvalid, which names the file.
Status check_config_size(std::string_view text, std::string_view file_label);

struct ParsedWorkspace {
  WorkspaceSpec spec;
  // The same content with sorted keys and no spaces; it parses to the same spec and hashes.
  std::string normalised_json;
  // Fingerprints (hex). `inputs_hash`: what reaches tofu, i.e. variables, environment, custom
  // commands, template, include. `schedule_hash`: what decides when it fires.
  std::string inputs_hash;
  std::string schedule_hash;
  std::vector<std::string> warnings;  // sentences that begin with the file
};

// `file_label` names the file in errors and warnings: "workspaces/shop/config.json". kInvalid with
// file, field and reason: "workspaces/shop/config.json: deploy_schedule[1]: minute 75 is outside
// 0-59". Secrets stay references: nothing but the text is read.
Result<ParsedWorkspace> parse_workspace(const WorkspaceName& name, std::string_view json,
                                        std::string_view file_label);

// What the files of several workspaces say of each other: a `depends_on` that names no workspace,
// and circles. One sentence each, by the workspace it concerns.
struct DependencyProblem {
  WorkspaceName workspace;
  std::string message;
};
std::vector<DependencyProblem> find_dependency_problems(const std::vector<WorkspaceSpec>& specs);

}  // namespace provisioner
