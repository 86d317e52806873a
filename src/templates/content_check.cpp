#include "templates/content_check.hpp"

#include <array>

#include "config/content_check.hpp"
#include "tofu/hcl_scanner.hpp"

namespace provisioner {
namespace {

Result<ContentFacts> scan_strictly(std::string_view path, std::string_view text) {
  ContentFacts facts;
  if (!tofu::is_content_file(path)) return facts;
  const std::array<tofu::ContentFile, 1> files = {{{std::string(path), text}}};
  const auto scanned = tofu::scan_content(files);
  if (!scanned) return std::unexpected(scanned.error());
  for (const auto& module : scanned->modules) {
    facts.modules.push_back({.file = module.file, .line = module.line, .source = module.source});
  }
  return facts;
}

}  // namespace

Status check_template_content(const Bundle& bundle) {
  const ContentScan scan = scan_strictly;
  return ContentCheck(bundle, scan).follow_modules();
}

}  // namespace provisioner
