// Waiting for the first of two things, or for both.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

#include "runtime/task.hpp"

namespace provisioner {

// Starts both, waits until one has *finished* (well or with an exception), cancels the other and
// waits for that too. Returns the index of the first to finish and rethrows its exception, if any.
// (Asio's `a || b` would wait for the first *success*.)
inline Task<int> first_of(Task<> a, Task<> b) {
  auto loop = co_await boost::asio::this_coro::executor;
  auto [order, error_a, error_b] =
      co_await boost::asio::experimental::make_parallel_group(
          boost::asio::co_spawn(loop, std::move(a), boost::asio::deferred),
          boost::asio::co_spawn(loop, std::move(b), boost::asio::deferred))
          .async_wait(boost::asio::experimental::wait_for_one(), boost::asio::use_awaitable);
  const int first = static_cast<int>(order[0]);
  if (const auto& error = first == 0 ? error_a : error_b; error) std::rethrow_exception(error);
  co_return first;
}

// Starts both and waits until both have finished; rethrows the exception of the first, else that of
// the second, if any.
inline Task<> both_of(Task<> a, Task<> b) {
  auto loop = co_await boost::asio::this_coro::executor;
  const auto [order, error_a, error_b] =
      co_await boost::asio::experimental::make_parallel_group(
          boost::asio::co_spawn(loop, std::move(a), boost::asio::deferred),
          boost::asio::co_spawn(loop, std::move(b), boost::asio::deferred))
          .async_wait(boost::asio::experimental::wait_for_all(), boost::asio::use_awaitable);
  if (error_a) std::rethrow_exception(error_a);
  if (error_b) std::rethrow_exception(error_b);
}

}  // namespace provisioner
