// Small functions on text that several rooms need.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace provisioner {

// The candidate nearest to `text` by edit distance, or "" when none is near enough to be a typing
// error (more than a third of its letters differ). For "unknown field ...; did you mean ...?".
std::string_view nearest(std::string_view text, std::span<const std::string_view> candidates);

std::string join(std::span<const std::string> parts, std::string_view separator);

// "a", "a and b", "a, b and c".
std::string listed(std::span<const std::string> names);

std::vector<std::string_view> split(std::string_view text, char separator);

std::string_view trim(std::string_view text);

// Lower-case hexadecimal of bytes.
std::string to_hex(std::span<const unsigned char> bytes);

}  // namespace provisioner
