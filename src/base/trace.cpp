#include "base/trace.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace provisioner {
namespace {

constexpr std::size_t kVersion = 2, kTraceId = 32, kSpanId = 16, kFlags = 2;
constexpr std::size_t kLength = kVersion + 1 + kTraceId + 1 + kSpanId + 1 + kFlags;

// Upper-case digits are none here.
bool is_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

std::string digits_of(const RunId& run) {
  std::string digits = run.value;
  std::erase(digits, '-');
  return digits;
}

}  // namespace

std::optional<CorrelationId> parse_traceparent(std::string_view header) {
  if (header.size() < kLength) return std::nullopt;
  const auto version = header.substr(0, kVersion);
  const auto trace = header.substr(kVersion + 1, kTraceId);
  const auto span = header.substr(kVersion + 1 + kTraceId + 1, kSpanId);
  const auto flags = header.substr(kLength - kFlags, kFlags);
  const bool separated = header[kVersion] == '-' && header[kVersion + 1 + kTraceId] == '-' &&
                         header[kLength - kFlags - 1] == '-';
  if (!separated || !is_hex(version) || !is_hex(trace) || !is_hex(span) || !is_hex(flags)) {
    return std::nullopt;
  }
  if (version == "ff" || is_zero(trace) || is_zero(span)) return std::nullopt;
  const bool says_more = header.size() > kLength;
  if (says_more && (version == "00" || header[kLength] != '-')) return std::nullopt;
  return CorrelationId(std::string(trace));
}

std::string format_traceparent(const CorrelationId& id, std::string_view span) {
  return fmt::format("00-{}-{}-01", id.value, span);
}

CorrelationId correlation_of(const RunId& run) { return CorrelationId(digits_of(run)); }

std::string span_of(const RunId& run) {
  const std::string digits = digits_of(run);
  return digits.substr(digits.size() - std::min(kSpanId, digits.size()));
}

}  // namespace provisioner
