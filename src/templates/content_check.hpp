// Whether a template's files can be read.
#pragma once

#include "config/bundle.hpp"

namespace provisioner {

// Every tofu file of its folder, and of the modules that they reach, is well-formed for the
// scanner, and each local module is among the files. kInvalid with file and line. What only tofu
// can know (types, providers) shows when a workspace is planned.
Status check_template_content(const Bundle& bundle);

}  // namespace provisioner
