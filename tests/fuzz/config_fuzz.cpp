// Whatever stands in a config.json: no crash, an error names the file, and what was accepted is
// accepted again in its normalised form with the same fingerprints. The same bytes are read as an
// ignore file and as a bundle.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "config/bundle.hpp"
#include "config/ignore.hpp"
#include "config/workspace_file.hpp"

using namespace provisioner;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const WorkspaceName name("shop");
  const auto parsed = parse_workspace(name, text, "file");
  if (!parsed) {
    if (!parsed.error().message.starts_with("file: ")) std::abort();
  } else {
    const auto again = parse_workspace(name, parsed->normalised_json, "file");
    if (!again || again->normalised_json != parsed->normalised_json ||
        again->inputs_hash != parsed->inputs_hash ||
        again->schedule_hash != parsed->schedule_hash) {
      std::abort();
    }
  }
  if (size < 256) static_cast<void>(IgnorePatterns(text).ignores("a/b/c.tf", false));
  if (const auto listing = list_bundle(text)) {
    for (const auto& entry : listing->entries) {
      if (entry.offset + entry.size > size) std::abort();
    }
  }
  return 0;
}
