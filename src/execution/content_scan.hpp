// The seam between config (folders and bundles) and tofu (what .tf files say).
#pragma once

#include "config/loader.hpp"

namespace provisioner {

// A file that the scanner cannot read to its end says nothing here; tofu will say what is wrong
// with it. Thread-safe.
ContentScan tofu_content_scan();

}  // namespace provisioner
