#include "runner/claim.hpp"

#include <cstdlib>
#include <cstring>
#include <string>

namespace provisioner::runner {

ClaimId take_claim() {
  const char* value = std::getenv(kClaimVariable);
  ClaimId claim(value == nullptr ? "" : value);
  wipe_claim();
  return claim;
}

void wipe_claim() {
  if (char* value = std::getenv(kClaimVariable)) {
    std::memset(value, 'x', std::strlen(value));
    unsetenv(kClaimVariable);
  }
}

}  // namespace provisioner::runner
