// One JSON string, for log lines: they are written too often for a JSON library's tree.
#pragma once

#include <string>
#include <string_view>

namespace provisioner {

// Quoted and escaped (RFC 8259, section 7). Bytes that are no UTF-8 become U+FFFD, so that a
// child's garbage never makes a log line unreadable for programs.
std::string json_string(std::string_view text);

}  // namespace provisioner
