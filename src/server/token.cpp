#include "server/token.hpp"

#include <sodium.h>

#include <array>
#include <span>
#include <vector>

#include "base/text.hpp"

namespace provisioner::server {
namespace {

constexpr std::string_view kPrefix = "pvr_";
constexpr std::string_view kDigits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kSecretDigits = 43;  // 62^43 > 2^256
constexpr std::size_t kChecksumBytes = 4;
constexpr std::size_t kChecksumDigits = 6;  // 62^6 > 2^32

// The bytes as one number, in so many digits.
std::string base62(std::span<const unsigned char> bytes, std::size_t digits) {
  std::vector<unsigned> number(bytes.begin(), bytes.end());
  std::string text(digits, kDigits[0]);
  for (std::size_t i = digits; i-- > 0;) {
    unsigned rest = 0;
    for (unsigned& byte : number) {
      const unsigned value = rest * 256 + byte;
      byte = value / kDigits.size();
      rest = value % kDigits.size();
    }
    text[i] = kDigits[rest];
  }
  return text;
}

std::array<unsigned char, crypto_hash_sha256_BYTES> sha256(std::string_view text) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
  return hash;
}

std::string checksum(std::string_view text) {
  const auto hash = sha256(text);
  return base62(std::span(hash).first(kChecksumBytes), kChecksumDigits);
}

}  // namespace

std::string make_token(Random& random) {
  std::array<unsigned char, kSecretBytes> secret{};
  random.fill(secret);
  std::string token(kPrefix);
  token += base62(secret, kSecretDigits);
  sodium_memzero(secret.data(), secret.size());
  return token + checksum(token);
}

bool is_token(std::string_view text) {
  if (text.size() != kPrefix.size() + kSecretDigits + kChecksumDigits) return false;
  if (!text.starts_with(kPrefix)) return false;
  const std::size_t end = text.size() - kChecksumDigits;
  return checksum(text.substr(0, end)) == text.substr(end);
}

std::string hash_token(std::string_view token) { return to_hex(sha256(token)); }

TokenId make_token_id(Random& random) {
  std::array<unsigned char, 8> bytes{};
  random.fill(bytes);
  return TokenId(to_hex(bytes));
}

bool is_same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace provisioner::server
