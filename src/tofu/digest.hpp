// Hashes and base64 by OpenSSL, behind four functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace provisioner::tofu {

std::string sha256_hex(std::string_view bytes);

// As the Content-MD5 header carries it: base64 of the 16 bytes.
std::string md5_base64(std::string_view bytes);

// Absent when `text` is no padded standard base64.
std::optional<std::string> base64_decoded(std::string_view text);

// Takes the same time wherever the texts differ; a different length shows.
bool same_in_constant_time(std::string_view a, std::string_view b);

}  // namespace provisioner::tofu
