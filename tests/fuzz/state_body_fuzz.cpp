// Any bytes are either no state, with a reason, or a state that can be shown, compared and numbered
// anew without changing anything else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tofu/state_body.hpp"

using namespace provisioner::tofu;

namespace {
void require(bool holds) {
  if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto meta = parse_state(body);
  const auto shown = masked_state_text(body);
  if (!meta) {
    require(!meta.error().message.empty());
    return 0;
  }
  require(shown.has_value() == state_diff(body, body).has_value());
  if (const auto lines = state_diff(body, body)) require(lines->empty());
  if (const auto again = with_serial(body, 12345)) {
    const auto numbered = parse_state(*again);
    require(numbered && numbered->serial == 12345 && numbered->lineage == meta->lineage &&
            numbered->resources == meta->resources);
  }
  return 0;
}
