// Strict reading of JSON that people write. For this room's .cpp files.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace provisioner {

// An object, without duplicate keys (named with the path to them) and at most 64 levels deep, so
// that nothing which walks it can exhaust the stack. kInvalid: "line 3, column 5: ...".
Result<nlohmann::json> parse_json_object(std::string_view text);

// "a string", "a number", "true", ...: for "expected ..., found ...".
std::string_view describe_json(const nlohmann::json& value);

// In quotes, escaped and cut to a readable length: for messages.
std::string quote(std::string_view text);

}  // namespace provisioner
