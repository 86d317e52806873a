// What one message of a failing tool amounts to: of tofu itself, its providers, backends and
// registries, or of a command. Pure, and of bounded effort whatever the text.
#pragma once

#include <string>
#include <string_view>

namespace provisioner::tofu {

enum class FailureKind {
  kConfiguration,  // the files or variables are wrong: only an edit helps
  kDenied,         // credentials are missing, expired or not allowed to do it
  kQuota,          // an allowance is used up, not one of requests
  kExists,         // what it should create is there already
  kTransient,      // a network, a rate limit, a service that is away: try again later
  kLocked,         // somebody else holds the state's lock
  kPlanStale,      // the state moved on since the plan: plan again
  kStateRefused,   // our backend refused a write: the attempt is stale or stopping
  kStateUnsaved,   // resources changed and the backend does not know it: a person must look
  kInterrupted,    // it was asked to stop
  kOther,
};
std::string_view to_string(FailureKind kind);

// kTransient, kDenied, kQuota, kExists, or kOther for what none of the rules knows. Codes of
// services come first (a throttled request of Google is a 403 "Quota exceeded", one of AWS a 400),
// then HTTP statuses, then the words of networks, and last "timeout", "temporary failure", "rate
// limit" and "service unavailable". Not passing: a name that does not exist, which is mostly
// misspelt, and a resource that did not become ready in its own time.
FailureKind kind_of_fault(std::string_view text);

// The host that the message is about: "management.azure.com", "10.0.0.1:6443" (ports 80 and 443 are
// left out). "" = it names none. Links to documentation are not meant.
std::string host_in(std::string_view text);

}  // namespace provisioner::tofu
