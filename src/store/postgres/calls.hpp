// A call of the store: its transaction, repeated where that is safe, and what it tells afterwards.
#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/backoff.hpp"
#include "store/postgres/notifications.hpp"
#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

// What the calls in progress share; it outlives the store as long as one of them does. Loop only.
struct Calls {
  std::shared_ptr<Pool> pool;
  std::shared_ptr<Notifications> notifications;
};

template <typename T>
using Work = std::function<Task<Result<T>>(Transaction&)>;

// How long a call may take with all its repetitions, and each of its round trips.
struct Patience {
  Duration call{}, round_trip{};
};

// One try of a call.
struct Try {
  std::optional<Error> refusal;  // foreseen: the answer
  std::optional<SqlError> failure;
  Verdict verdict = Verdict::kFail;
};

// Runs `work` in a transaction of a pooled connection, and commits when it says so; else nothing is
// kept.
Task<Try> try_once(const Calls& calls, std::function<Task<bool>(Transaction&)> work,
                   const Deadlines& deadlines);

// Whether to try again after a failure; waits before.
class Repetition {
 public:
  Repetition(Pool& pool, BootInstant deadline) : pool_(pool), deadline_(deadline) {}

  Task<bool> again(const Try& last);

 private:
  Pool& pool_;
  BootInstant deadline_;
  SystemRandom random_;
  Backoff backoff_{std::chrono::milliseconds(10), std::chrono::milliseconds(500)};
  int tries_ = 1;
};

// The error of a call that ends with `last`.
Error error_of(const Try& last);

template <typename T>
Task<Result<T>> run_call(Calls calls, Work<T> work, Patience patience) {
  const Deadlines deadlines{.call = calls.pool->clock().boot_now() + patience.call,
                            .round_trip = patience.round_trip};
  Repetition repetition(*calls.pool, deadlines.call);
  for (;;) {
    std::optional<Result<T>> answer;
    const Try last = co_await try_once(
        calls,
        [&](Transaction& tx) -> Task<bool> {
          answer = co_await work(tx);
          co_return answer->has_value();
        },
        deadlines);
    if (last.refusal) co_return std::unexpected(*last.refusal);
    if (!last.failure) co_return *std::move(answer);
    if (!co_await repetition.again(last)) co_return std::unexpected(error_of(last));
  }
}

// A cancelled caller gets its answer all the same: what was asked happens.
template <typename T>
Task<Result<T>> call(Calls calls, Work<T> work, Patience patience) {
  const auto loop = calls.pool->loop();
  co_return co_await boost::asio::co_spawn(
      loop, run_call<T>(std::move(calls), std::move(work), patience),
      boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot(),
                                          boost::asio::use_awaitable));
}

}  // namespace provisioner::postgres
