#include "election/term.hpp"

#include <fmt/format.h>

namespace provisioner {
namespace {

// Whether a failed request may have been carried out all the same.
bool outcome_unknown(ErrorKind kind) {
  return kind == ErrorKind::kAmbiguous || kind == ErrorKind::kUnavailable ||
         kind == ErrorKind::kTimeout;
}

}  // namespace

Task<Result<WonTerm>> claim_term(Election& election, Store& store, const Clock& clock,
                                 Random& random, InstanceId me, std::optional<Leadership> seen) {
  constexpr int kTries = 5;
  for (int i = 0; i < kTries; ++i) {
    if (!seen || i > 0) {
      auto row = co_await store.leadership();
      if (!row) co_return fail("reading who leads", row.error());
      seen = std::move(*row);
    }

    const auto proven = co_await election.renew();
    if (!proven) co_return fail("proving the won election", proven.error());

    const ClaimId fresh = random.claim_id();
    auto claimed = co_await store.claim_term(seen->fence, fresh, me, clock.now());
    if (!claimed && outcome_unknown(claimed.error().kind)) {
      auto found = co_await store.leadership();
      if (!found) co_return fail("looking up a claim whose reply was lost", found.error());
      if (found->fence.claim != fresh) continue;
      claimed = std::move(found);
    }
    if (!claimed && claimed.error().kind == ErrorKind::kConflict) continue;
    if (!claimed) co_return fail("claiming a term", claimed.error());

    if (clock.boot_now() >= *proven) {
      co_return fail(ErrorKind::kTimeout,
                     fmt::format("the lease ended while term {} was being claimed",
                                 claimed->fence.term.value));
    }
    co_return WonTerm{.fence = claimed->fence, .deadline = *proven};
  }
  co_return fail(ErrorKind::kConflict,
                 fmt::format("others claimed a term first, {} times in a row", kTries));
}

}  // namespace provisioner
