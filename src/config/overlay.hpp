// A workspace's folder on top of the files of its template.
#pragma once

#include <string_view>

#include "config/bundle.hpp"

namespace provisioner {

// Whether the folder's own tofu files are its content. Override files (override.tf,
// *_override.tf and their .tofu and .json forms) only change what others say, so they alone are
// none.
bool has_own_content(const Bundle& own);

// The template's files (`base`, as Store::put_bundle has them) in the workspace's folder, and all
// files of `own`: where both have one, or one has a folder and the other a file, that of `own`
// stays. kInvalid: together larger than 64 MB; kCorrupt: `base` is no bundle.
Result<Bundle> laid_over(const Bundle& own, std::string_view base);

}  // namespace provisioner
