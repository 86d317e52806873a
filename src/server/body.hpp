// The parameters of a command: a small JSON object in the request's body, or none.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "server/problem.hpp"

namespace provisioner::server {

inline constexpr std::size_t kMostCommandBytes = 64 * 1024;

class CommandBody {
 public:
  // 413 too long, 415 not JSON by its type, 400 not a JSON object, 422 a field that is not among
  // `known` (names the nearest) or a value that is neither text, number, true, false nor null.
  static std::expected<CommandBody, Problem> parse(const http::Request& request,
                                                   std::span<const std::string_view> known);

  bool has(std::string_view field) const { return values_.contains(field); }  // and is not null

  // Absent and null are the same. 422 for another type.
  std::expected<std::string, Problem> text(std::string_view field) const;  // "" when absent
  std::expected<bool, Problem> flag(std::string_view field) const;         // false when absent
  std::expected<std::optional<std::int64_t>, Problem> integer(std::string_view field) const;

 private:
  using Value = std::variant<std::string, bool, std::int64_t>;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace provisioner::server
