#include "server/body.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace provisioner::server {
namespace {

Problem invalid(std::string detail) {
  return {.status = 422, .code = "invalid_request", .detail = std::move(detail)};
}

}  // namespace

std::expected<CommandBody, Problem> CommandBody::parse(const http::Request& request,
                                                       std::span<const std::string_view> known) {
  CommandBody body;
  if (request.body.size() > kMostCommandBytes) {
    return std::unexpected(
        Problem{.status = 413,
                .code = "body_too_long",
                .detail = fmt::format("the body is longer than {} bytes", kMostCommandBytes)});
  }
  if (trim(request.body).empty()) return body;
  const std::string type = request.header("Content-Type");
  if (!type.empty() && !type.starts_with("application/json")) {
    return std::unexpected(
        Problem{.status = 415,
                .code = "not_json",
                .detail = fmt::format("the body is {}, expected application/json", type)});
  }
  const auto json = nlohmann::json::parse(request.body, nullptr, false);
  if (!json.is_object()) {
    return std::unexpected(
        Problem{.status = 400, .code = "malformed_body", .detail = "the body is no JSON object"});
  }
  for (const auto& [name, value] : json.items()) {
    if (std::ranges::count(known, name) == 0) {
      const std::string_view meant = nearest(name, known);
      return std::unexpected(invalid(
          meant.empty() ? fmt::format("unknown field \"{}\"", name)
                        : fmt::format("unknown field \"{}\"; did you mean \"{}\"?", name, meant)));
    }
    if (value.is_null()) continue;
    if (value.is_string()) {
      body.values_[name] = value.get<std::string>();
    } else if (value.is_boolean()) {
      body.values_[name] = value.get<bool>();
    } else if (value.is_number_integer() &&
               !(value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX)) {
      body.values_[name] = value.get<std::int64_t>();
    } else {
      return std::unexpected(
          invalid(fmt::format("{}: expected text, a whole number, true or false", name)));
    }
  }
  return body;
}

std::expected<std::string, Problem> CommandBody::text(std::string_view field) const {
  const auto it = values_.find(field);
  if (it == values_.end()) return "";
  if (const auto* value = std::get_if<std::string>(&it->second)) return *value;
  return std::unexpected(invalid(fmt::format("{}: expected text", field)));
}

std::expected<bool, Problem> CommandBody::flag(std::string_view field) const {
  const auto it = values_.find(field);
  if (it == values_.end()) return false;
  if (const auto* value = std::get_if<bool>(&it->second)) return *value;
  return std::unexpected(invalid(fmt::format("{}: expected true or false", field)));
}

std::expected<std::optional<std::int64_t>, Problem> CommandBody::integer(
    std::string_view field) const {
  const auto it = values_.find(field);
  if (it == values_.end()) return std::nullopt;
  if (const auto* value = std::get_if<std::int64_t>(&it->second)) return *value;
  return std::unexpected(invalid(fmt::format("{}: expected a whole number", field)));
}

}  // namespace provisioner::server
