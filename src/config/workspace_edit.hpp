// What a command changes of a workspaces/<name>/config.json that a person wrote.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace provisioner {

// Absent: as it is. An empty text takes the field out. One expression is written as a string,
// several as an array; "false" and "never" as false.
struct WorkspaceEdit {
  std::optional<std::string> template_name, description, timezone;
  std::optional<std::vector<std::string>> deploy_schedule, destroy_schedule;
  std::map<std::string, std::vector<std::string>> mode_schedules;  // replace them mode by mode
  std::optional<bool> enabled;

  bool is_empty() const;
};

// The text with the edit, other fields in the order and of the value they had, indented as before
// (two spaces where there is nothing to go by). `text` "" = a new file. kInvalid: no JSON object.
// It says nothing of whether the result is a valid configuration: parse_workspace() does.
Result<std::string> edited_config(std::string_view text, const WorkspaceEdit& edit);

// Replaces the file as a whole, with the mode it had (0644 when it is new); through a symbolic
// link its target. On the disk when it returns.
Status replace_file(const std::filesystem::path& file, std::string_view text);

}  // namespace provisioner
