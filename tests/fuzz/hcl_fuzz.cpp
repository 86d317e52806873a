// Any text is either scanned or refused with file and line; never a crash, never for ever.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tofu/hcl_scanner.hpp"

using namespace provisioner::tofu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* name : {"main.tf", "main.tf.json"}) {
    const ContentFile file{name, text};
    const auto facts = scan_content({&file, 1});
    if (!facts && !facts.error().message.starts_with(name)) std::abort();
  }
  return 0;
}
