#include "store/copy/rows.hpp"

#include <fmt/format.h>
#include <sodium/crypto_hash_sha256.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace provisioner::copy {
namespace {

// jsonb writes 1e+15 as 1000000000000000.
void unify_numbers(nlohmann::json& value) {
  if (value.is_structured()) {
    for (auto& item : value) unify_numbers(item);
  } else if (value.is_number_float()) {
    constexpr double kExact = 9007199254740992.0;  // 2^53
    const double number = value.get<double>();
    if (std::trunc(number) == number && std::abs(number) <= kExact) {
      value = static_cast<std::int64_t>(number);
    }
  }
}

}  // namespace

std::string canonical_json(const std::string& text) {
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) return text;
  unify_numbers(json);
  return json.dump();
}

void Digest::add(const Row& row) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  const auto take = [&](const std::string& bytes) {
    crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(bytes.data()),
                              bytes.size());
  };
  // Each value says what it is and how long, so that no two rows read alike.
  for (const Value& value : row) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      take(fmt::format("i{};", *number));
      bytes_ += 8;
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      take(fmt::format("s{}:", text->size()));
      take(*text);
      bytes_ += static_cast<std::int64_t>(text->size());
    } else {
      take("n;");
    }
  }
  crypto_hash_sha256_final(&state, hashes_.emplace_back().data());
}

std::vector<Digest::Hash>& Digest::sorted() {
  std::ranges::sort(hashes_);
  return hashes_;
}

std::string Digest::hex() {
  Hash all{};
  const auto& hashes = sorted();
  crypto_hash_sha256(all.data(), reinterpret_cast<const unsigned char*>(hashes.data()),
                     hashes.size() * sizeof(Hash));
  return to_hex(all);
}

std::int64_t Digest::differing(Digest& a, Digest& b) {
  std::vector<Hash> only_one;
  std::ranges::set_symmetric_difference(a.sorted(), b.sorted(), std::back_inserter(only_one));
  return static_cast<std::int64_t>(only_one.size());
}

}  // namespace provisioner::copy
