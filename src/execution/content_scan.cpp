#include "execution/content_scan.hpp"

#include <array>

#include "tofu/hcl_scanner.hpp"

namespace provisioner {

ContentScan tofu_content_scan() {
  return [](std::string_view path, std::string_view text) {
    ContentFacts facts;
    if (!tofu::is_content_file(path)) return facts;
    const std::array<tofu::ContentFile, 1> files = {{{std::string(path), text}}};
    const auto scanned = tofu::scan_content(files);
    if (!scanned) return facts;
    for (const auto& module : scanned->modules) {
      facts.modules.push_back(
          {.file = module.file, .line = static_cast<int>(module.line), .source = module.source});
    }
    facts.variables.assign(scanned->variables.begin(), scanned->variables.end());
    return facts;
  };
}

}  // namespace provisioner
