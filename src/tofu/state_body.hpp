// tofu's state file as far as we must understand it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "model/tofu_state.hpp"

namespace provisioner::tofu {

// Lineage, serial, hash and the number of managed resource instances. kInvalid says what is missing
// when `body` is no state (version 4, as tofu and Terraform >= 0.12 write it).
Result<StateMeta> parse_state(std::string_view body);

// The state as indented JSON with every sensitive value, and every value of a sensitive output,
// replaced by "(sensitive)". Private provider data is left out. For people: not a state any more.
Result<std::string> masked_state_text(std::string_view body);

// What changed from `before` to `after`, a line each: "+ terraform_data.web",
// "~ terraform_data.web: input: \"a\" -> \"b\"", "- output mode". Sensitive values stay hidden,
// their change does not. An empty body is the empty state.
Result<std::vector<std::string>> state_diff(std::string_view before, std::string_view after);

// The same state under another serial, for a rollback (which writes old content as something new).
Result<std::string> with_serial(std::string_view body, std::int64_t serial);

// An errored.tfstate, ready to be recovered. tofu names the lineage of a new state only when it
// first reaches the backend: where that never happened, the file has lineage "" and would be
// refused as no state, though resources exist. It gets a lineage that depends on its bytes alone,
// so that a repeated recovery finds its own work. Any other state comes back as it is; kInvalid as
// of parse_state.
Result<std::string> completed_state(std::string_view body);

}  // namespace provisioner::tofu
