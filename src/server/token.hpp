// What a token looks like, and what is kept of it.
#pragma once

#include <string>
#include <string_view>

#include "model/api_token.hpp"
#include "runtime/random.hpp"

namespace provisioner::server {

// "pvr_", 43 characters for 256 random bits, 6 of a checksum. All base 62, so that a double click
// selects it and a scanner for leaked secrets knows it.
std::string make_token(Random& random);

// False for what cannot be a token: cut off, mistyped, or of another program.
bool is_token(std::string_view text);

// What the store keeps: lower-case hex of the SHA-256. 256 random bits need no slow hash.
std::string hash_token(std::string_view token);

TokenId make_token_id(Random& random);

// In a time that says nothing about where they differ.
bool is_same_secret(std::string_view a, std::string_view b);

}  // namespace provisioner::server
