// Work that would block the loop: SQLite, hashing, files.
#pragma once

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
  // nothing that the loop may touch meanwhile.
  template <typename Work>
  auto run(Work work) -> Task<decltype(work())> {
    co_return co_await boost::asio::co_spawn(
        pool_, [](Work task) -> Task<decltype(work())> { co_return task(); }(std::move(work)),
        boost::asio::use_awaitable);
  }

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace provisioner
