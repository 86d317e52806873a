#include "tofu/variables.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tofu/json_depth.hpp"

namespace provisioner::tofu {
namespace {

// A name or mode is text of ours; invalid UTF-8 in it is replaced rather than thrown on.
std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Result<std::string> variable_file(const std::map<std::string, std::string>& values,
                                  std::string_view mode, const std::set<std::string>& declared) {
  std::map<std::string, std::string> members = values;
  for (const auto& [name, text] : values) {
    // The value itself stays out of the message: it may be a secret.
    if (nests_too_deep(text) || !nlohmann::json::accept(text)) {
      return fail(ErrorKind::kInvalid, fmt::format("the value of variable {} is not JSON", name));
    }
  }
  if (!mode.empty() && declared.contains(std::string(kModeVariable))) {
    members[std::string(kModeVariable)] = json_string(mode);
  }
  // Put together as text, so that numbers keep every digit.
  std::string file = "{";
  for (const auto& [name, text] : members) {
    fmt::format_to(std::back_inserter(file), "{}\n  {}: {}", file.size() > 1 ? "," : "",
                   json_string(name), text);
  }
  file += members.empty() ? "}\n" : "\n}\n";
  return file;
}

std::string override_file_text() { return "terraform {\n  backend \"http\" {}\n}\n"; }

std::map<std::string, std::string> backend_environment(const BackendAccess& access) {
  return {
      {"TF_HTTP_ADDRESS", access.address},
      {"TF_HTTP_LOCK_ADDRESS", access.address},
      {"TF_HTTP_UNLOCK_ADDRESS", access.address},
      {"TF_HTTP_LOCK_METHOD", "LOCK"},
      {"TF_HTTP_UNLOCK_METHOD", "UNLOCK"},
      {"TF_HTTP_UPDATE_METHOD", "POST"},
      {"TF_HTTP_USERNAME", access.username},
      {"TF_HTTP_PASSWORD", access.password},
      {"TF_HTTP_RETRY_MAX", "2"},
      {"TF_HTTP_RETRY_WAIT_MIN", "1"},
      {"TF_HTTP_RETRY_WAIT_MAX", "1"},
  };
}

std::map<std::string, std::string> automation_environment() {
  return {
      {"TF_IN_AUTOMATION", "1"},
      {"TF_INPUT", "0"},
      {"CHECKPOINT_DISABLE", "1"},
  };
}

}  // namespace provisioner::tofu
