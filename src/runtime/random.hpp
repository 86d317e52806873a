// The only door to chance.
#pragma once

#include <cstdint>
#include <random>
#include <span>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "base/trace.hpp"

namespace provisioner {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<unsigned char> bytes) = 0;

  std::uint64_t number();          // uniform over 64 bits
  double fraction();               // uniform over [0, 1)
  ClaimId claim_id();              // 128 random bits as hex
  Incarnation incarnation();       // 64 random bits as hex
  CorrelationId correlation_id();  // 128 random bits as hex
  std::string span_id();           // 64 random bits as hex
  RunId run_id(Instant created);   // UUID version 7 (RFC 9562, section 5.7)
};

// getrandom(2).
class SystemRandom final : public Random {
 public:
  void fill(std::span<unsigned char> bytes) override;
};

// The same seed, the same sequence; for tests and the simulator only.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(std::span<unsigned char> bytes) override;

 private:
  std::mt19937_64 engine_;
};

}  // namespace provisioner
