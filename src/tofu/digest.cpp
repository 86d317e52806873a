#include "tofu/digest.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <span>

#include "base/text.hpp"

namespace provisioner::tofu {
namespace {

struct Digest {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  std::size_t size = 0;
};

Digest digest(const char* algorithm, std::string_view text) {
  Digest result;
  // It fails only for an algorithm that this build of OpenSSL lacks (MD5 under FIPS); the size
  // stays 0 then, which equals no digest.
  if (EVP_Q_digest(nullptr, algorithm, nullptr, text.data(), text.size(), result.bytes.data(),
                   &result.size) != 1) {
    result.size = 0;
  }
  return result;
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  const Digest sum = digest("SHA256", bytes);
  return to_hex(std::span(sum.bytes.data(), sum.size));
}

std::string md5_base64(std::string_view bytes) {
  const Digest sum = digest("MD5", bytes);
  std::array<unsigned char, 64> text{};
  const int length = EVP_EncodeBlock(text.data(), sum.bytes.data(), static_cast<int>(sum.size));
  return {text.begin(), text.begin() + length};
}

std::optional<std::string> base64_decoded(std::string_view text) {
  constexpr std::size_t kLargest = 64 * 1024;  // headers only
  if (text.empty() || text.size() % 4 != 0 || text.size() > kLargest) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  // EVP_DecodeBlock counts the padding as zero bytes.
  std::size_t padding = 0;
  while (padding < 2 && text[text.size() - 1 - padding] == '=') ++padding;
  bytes.resize(static_cast<std::size_t>(length) - padding);
  return bytes;
}

bool same_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace provisioner::tofu
