// Readers of single fields of config.json; each notes what is wrong and goes on. For this room.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/workspace_spec.hpp"

namespace provisioner {

// Collects every problem of a file, so that a person mends them in one go.
class FileProblems {
 public:
  explicit FileProblems(std::string_view file) : file_(file) {}

  void error(std::string_view field, std::string_view reason);
  void warning(std::string_view field, std::string_view reason);

  bool has_errors() const { return !errors_.empty(); }
  const std::vector<std::string>& errors() const { return errors_; }
  std::vector<std::string>& warnings() { return warnings_; }

 private:
  std::string file_;
  std::vector<std::string> errors_, warnings_;
};

// Warns of members of `object` that are not among `known`. `path` is "" or the object's own field.
void check_known_fields(const nlohmann::json& object, std::string_view path,
                        std::span<const std::string_view> known, FileProblems& problems);

// An absent or null member leaves the default in place.
void read_flag(const nlohmann::json& object, std::string_view path, std::string_view field,
               bool& value, FileProblems& problems);
std::optional<std::string> read_text(const nlohmann::json& object, std::string_view path,
                                     std::string_view field, FileProblems& problems);
std::optional<Duration> read_duration(const nlohmann::json& object, std::string_view path,
                                      std::string_view field, FileProblems& problems);
std::vector<std::string> read_texts(const nlohmann::json& object, std::string_view path,
                                    std::string_view field, FileProblems& problems);

// One of `choices`, as its index.
std::optional<std::size_t> read_choice(const nlohmann::json& object, std::string_view path,
                                       std::string_view field,
                                       std::span<const std::string_view> choices,
                                       FileProblems& problems);

// A cron expression, an array of them, or false: appended to `rules`.
void read_schedule(const nlohmann::json& value, const std::string& field, Action action,
                   const std::string& mode, std::vector<TimelineRule>& rules,
                   FileProblems& problems);

// A map of values or references to secrets.
enum class ValuesOf { kVariables, kEnvironment };
ConfigValues read_values(const nlohmann::json& object, std::string_view path,
                         std::string_view field, ValuesOf what, FileProblems& problems);

// `timezone` and `dst`.
void read_zone_and_dst(const nlohmann::json& object, WorkspaceSpec& spec, FileProblems& problems);

}  // namespace provisioner
