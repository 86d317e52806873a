// Runs a Task to its end from a test's body.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

#include "runtime/task.hpp"

namespace provisioner::testing {

// Turns `loop` until `task` has completed; other work on the loop goes on meanwhile and may be left
// unfinished. Rethrows the task's exception. Throws when the loop runs out of work before.
template <typename T>
T run_task(boost::asio::io_context& loop, Task<T> task) {
  bool done = false;
  std::exception_ptr thrown;
  const auto turn_until_done = [&] {
    loop.restart();
    while (!done && loop.run_one() != 0) {
    }
    if (!done) throw std::logic_error("the loop ran out of work before the task completed");
    if (thrown) std::rethrow_exception(thrown);
  };
  if constexpr (std::is_void_v<T>) {
    boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr error) {
      thrown = error;
      done = true;
    });
    turn_until_done();
  } else {
    std::optional<T> result;
    boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr error, T value) {
      thrown = error;
      result.emplace(std::move(value));
      done = true;
    });
    turn_until_done();
    return *std::move(result);
  }
}

}  // namespace provisioner::testing
