// JSON as YAML, for --output yaml.
#pragma once

#include <string>

namespace provisioner::cli {

// Block style; strings are quoted as JSON does (which is YAML 1.2) unless they are plain words that
// no reader takes for something else. `json` is valid JSON.
std::string to_yaml(const std::string& json);

}  // namespace provisioner::cli
