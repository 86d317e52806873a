// The way in: finds out who asks, and how often they may.
#pragma once

#include <cstdint>
#include <expected>
#include <set>
#include <string>

#include "runtime/clock.hpp"
#include "server/access.hpp"
#include "server/rate_limit.hpp"
#include "store/store.hpp"

namespace provisioner::server {

// Requests over TCP; the unix socket is not limited. A caller is a token, or an address without
// one.
struct AccessLimits {
  double caller_per_second = 50;
  double total_per_second = 500;
  // Refused ones of an address: after so many without a known token, the next have to wait.
  double refused_burst = 30;
};

// Tokens are looked up with each request: what was revoked anywhere is refused everywhere at once.
// Loop only.
class Gate {
 public:
  Gate(Store& store, Clock& clock, AccessPolicy policy, AccessLimits limits);

  // From now on; who had used up its share begins anew.
  void set_limits(const AccessLimits& limits);

  struct Refusal {
    Problem problem;
    std::string actor;
    bool is_noted = true;  // belongs into the audit; the flood behind a limit does not
  };

  // 401, 403, 429 too_many_requests, 503 when the store cannot say whether a token is good.
  Task<std::expected<Caller, Refusal>> admit(const http::Request& request);

  // For what lasts longer than a request: whether the caller, who came with a token, would still be
  // admitted. True, too, while the store cannot be asked.
  Task<bool> is_still_welcome(const Caller& caller);

  const AccessPolicy& policy() const { return policy_; }

 private:
  Task<std::expected<Caller, Problem>> find_token(const http::Request& request,
                                                  const std::string& token);
  void remember(const std::string& hash);

  Store& store_;
  Clock& clock_;
  AccessPolicy policy_;
  RateLimit callers_;
  RateLimit total_;
  RateLimit refused_;
  std::set<std::string> seen_good_;  // hashes; who is known does not wait for others' refusals
};

}  // namespace provisioner::server
