// The JSON half of the content scanner (hcl_scanner.hpp).
#pragma once

#include <string_view>

#include "base/error.hpp"
#include "tofu/hcl_scanner.hpp"

namespace provisioner::tofu {

// "*.tf.json" or "*.tofu.json".
bool is_json_content(std::string_view name);

// Adds what one JSON file says to `facts`. kInvalid names the file.
Status scan_json(const ContentFile& file, ContentFacts& facts);

}  // namespace provisioner::tofu
