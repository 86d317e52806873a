// Work that would block the loop: SQLite, hashing, files.
#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "runtime/task.hpp"

namespace provisioner {

// A small pool of threads. The destructor waits for work that has begun.
class Offload {
 public:
  explicit Offload(std::size_t threads) : pool_(threads) {}

  // Runs `work` on the pool and resumes the caller on its own loop with the result. `work` touches
  // nothing that the loop may touch meanwhile. A cancelled caller waits for work that has begun: it
  // cannot be interrupted, and a cancellation that reached Asio's coroutine on the pool while it
  // works would end as an exception that nobody can catch.
  template <typename Work>
  auto run(Work work) -> Task<decltype(work())> {
    co_return co_await boost::asio::co_spawn(
        pool_, [](Work task) -> Task<decltype(work())> { co_return task(); }(std::move(work)),
        boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot(),
                                            boost::asio::use_awaitable));
  }

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace provisioner
