#include "runtime/random.hpp"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/text.hpp"

namespace provisioner {

std::uint64_t Random::number() {
  std::array<unsigned char, 8> bytes{};
  fill(bytes);
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

double Random::fraction() { return static_cast<double>(number() >> 11) * 0x1.0p-53; }

ClaimId Random::claim_id() {
  std::array<unsigned char, 16> bytes{};
  fill(bytes);
  return ClaimId(to_hex(bytes));
}

Incarnation Random::incarnation() {
  std::array<unsigned char, 8> bytes{};
  fill(bytes);
  return Incarnation(to_hex(bytes));
}

// All bits of a claim's or an incarnation's are zero once in 2^64 times: nobody lives to see it.
CorrelationId Random::correlation_id() { return CorrelationId(claim_id().value); }
std::string Random::span_id() { return incarnation().value; }

RunId Random::run_id(Instant created) {
  std::array<unsigned char, 16> bytes{};
  fill(bytes);
  const auto millis =
      std::chrono::floor<std::chrono::milliseconds>(created.time_since_epoch()).count();
  for (std::size_t i = 0; i < 6; ++i) {
    bytes[i] = static_cast<unsigned char>(millis >> (40 - 8 * i));
  }
  bytes[6] = static_cast<unsigned char>(0x70 | (bytes[6] & 0x0f));
  bytes[8] = static_cast<unsigned char>(0x80 | (bytes[8] & 0x3f));
  std::string text = to_hex(bytes);
  for (const std::size_t dash :
       {std::size_t{8}, std::size_t{13}, std::size_t{18}, std::size_t{23}}) {
    text.insert(dash, 1, '-');
  }
  return RunId(std::move(text));
}

void SystemRandom::fill(std::span<unsigned char> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category(), "getrandom");
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

void SeededRandom::fill(std::span<unsigned char> bytes) {
  for (auto& byte : bytes) byte = static_cast<unsigned char>(engine_());
}

}  // namespace provisioner
