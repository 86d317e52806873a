// What `init` reads of a workspace's files, so that it can be left out when only the rest changed.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tofu/hcl_scanner.hpp"

namespace provisioner::tofu {

// Two contents with the same basis need the same init: the same `terraform` and `provider` blocks,
// the same types of resources, the same requests for a provider. The order of resources and all
// their other arguments are left out. Absent when that cannot be told: modules, a backend of the
// content's own, JSON files, a block that this page does not know, settings that refer to
// variables, or a file that is not well-formed.
std::optional<std::string> init_basis(std::span<const ContentFile> files);

// Whether a file or folder of this name beside the content may make init read more than the content
// says: tests and their mocks, queries, stacks.
bool adds_to_init(std::string_view name);

}  // namespace provisioner::tofu
