// A guard in front of the JSON library, whose writer recurses once a level.
#pragma once

#include <string_view>

namespace provisioner::tofu {

// Deeper than anything that tofu writes; far from what a stack of 8 MiB bears.
inline constexpr int kDeepestJson = 500;

// Whether brackets outside strings nest deeper than kDeepestJson. For any text, JSON or not.
bool nests_too_deep(std::string_view text);

}  // namespace provisioner::tofu
