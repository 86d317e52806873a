#include "base/ids.hpp"

#include <fmt/format.h>

namespace provisioner {
namespace {

constexpr std::size_t kLongestName = 63;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string shown(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f ? fmt::format("'{}'", c) : fmt::format("byte 0x{:02x}", byte);
}

Status check_name(std::string_view what, std::string_view text) {
  if (text.empty()) return fail(ErrorKind::kInvalid, fmt::format("{} name is empty", what));
  if (!is_alphanumeric(text.front())) {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("{} name \"{}\" starts with {}: rename it to start with a letter or digit",
                    what, text, shown(text.front())));
  }
  for (const char c : text) {
    if (is_alphanumeric(c) || c == '.' || c == '_' || c == '-') continue;
    return fail(ErrorKind::kInvalid,
                fmt::format("{} name \"{}\" contains {}: rename it with letters, digits, '.', '_' "
                            "and '-' only",
                            what, text, shown(c)));
  }
  if (text.size() > kLongestName) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{} name \"{}\" has {} characters: rename it to at most {}", what, text,
                            text.size(), kLongestName));
  }
  return {};
}

}  // namespace

Result<WorkspaceName> parse_workspace_name(std::string_view text) {
  if (auto ok = check_name("workspace", text); !ok) return std::unexpected(ok.error());
  return WorkspaceName(std::string(text));
}

Result<JobName> parse_job_name(std::string_view text) {
  if (auto ok = check_name("job", text); !ok) return std::unexpected(ok.error());
  return JobName(std::string(text));
}

Result<TemplateName> parse_template_name(std::string_view text) {
  if (auto ok = check_name("template", text); !ok) return std::unexpected(ok.error());
  return TemplateName(std::string(text));
}

}  // namespace provisioner
