// Strong types for what must not be mixed up: names, ids, terms, attempts.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace provisioner {

// A string with a meaning. Construction checks nothing; parse functions do.
template <typename Tag>
struct StrongString {
  std::string value;

  StrongString() = default;
  explicit StrongString(std::string v) : value(std::move(v)) {}

  bool empty() const { return value.empty(); }
  friend auto operator<=>(const StrongString&, const StrongString&) = default;
};

// A number with a meaning; it orders, and counts with next().
template <typename Tag>
struct StrongInt {
  std::int64_t value = 0;

  StrongInt() = default;
  explicit constexpr StrongInt(std::int64_t v) : value(v) {}

  StrongInt next() const { return StrongInt(value + 1); }
  friend auto operator<=>(const StrongInt&, const StrongInt&) = default;
};

using WorkspaceName = StrongString<struct WorkspaceNameTag>;  // the folder's name
using JobName = StrongString<struct JobNameTag>;
using TemplateName = StrongString<struct TemplateNameTag>;
using RunId = StrongString<struct RunIdTag>;              // UUID version 7: sorts by creation
using BundleHash = StrongString<struct BundleHashTag>;    // lower-case hex of 256 bits
using InstanceId = StrongString<struct InstanceIdTag>;    // INSTANCE_ID, or the host's name
using Incarnation = StrongString<struct IncarnationTag>;  // random, new at every daemon start
using ClaimId = StrongString<struct ClaimIdTag>;  // random 128 bits, hex; a secret of its attempt

using Term = StrongInt<struct TermTag>;        // of leadership; 0 = nobody ever led
using Attempt = StrongInt<struct AttemptTag>;  // of a run; 0 = not yet claimed
using Version = StrongInt<struct VersionTag>;  // of a row, for optimistic locking

// The fence of every leader's write: a number alone may be reused after an asynchronous failover.
struct LeaderFence {
  Term term;
  ClaimId claim;
  friend bool operator==(const LeaderFence&, const LeaderFence&) = default;
};

// The fence of every write of a run.
struct AttemptFence {
  RunId run;
  Attempt attempt;
  ClaimId claim;
  friend bool operator==(const AttemptFence&, const AttemptFence&) = default;
};

// ^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$; the error says which character is wrong and what to rename.
Result<WorkspaceName> parse_workspace_name(std::string_view text);
Result<JobName> parse_job_name(std::string_view text);
Result<TemplateName> parse_template_name(std::string_view text);

}  // namespace provisioner

template <typename Tag>
struct std::hash<provisioner::StrongString<Tag>> {
  std::size_t operator()(const provisioner::StrongString<Tag>& s) const noexcept {
    return std::hash<std::string>()(s.value);
  }
};

template <typename Tag>
struct std::hash<provisioner::StrongInt<Tag>> {
  std::size_t operator()(const provisioner::StrongInt<Tag>& n) const noexcept {
    return std::hash<std::int64_t>()(n.value);
  }
};
