#include "app/background.hpp"

#include <fmt/format.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/system/system_error.hpp>
#include <cstdlib>
#include <exception>

namespace provisioner {
namespace {

// What a cancelled coroutine throws at its next suspension.
bool is_cancellation(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    return error.code() == boost::asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

std::string text_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of an unknown type";
  }
}

}  // namespace

Background::Background(boost::asio::any_io_executor loop, Logger log)
    : loop_(std::move(loop)), log_(std::move(log)), one_ended_(loop_) {}

void Background::start(std::string name, Task<> task) {
  tasks_.emplace_back().name = std::move(name);
  Running& running = tasks_.back();
  boost::asio::co_spawn(loop_, std::move(task),
                        boost::asio::bind_cancellation_slot(
                            running.cancel.slot(), [this, &running](std::exception_ptr thrown) {
                              if (thrown && !is_cancellation(thrown)) {
                                log_.error(fmt::format("internal error in the {}: {}", running.name,
                                                       text_of(thrown)));
                                std::abort();
                              }
                              running.ended = true;
                              one_ended_.notify();
                            }));
}

void Background::cancel_all() {
  for (auto& task : tasks_) {
    if (!task.ended) task.cancel.emit(boost::asio::cancellation_type::terminal);
  }
}

Task<std::string> Background::ended(Clock& clock, BootInstant deadline) {
  while (true) {
    std::string alive;
    for (const auto& task : tasks_) {
      if (!task.ended) alive += (alive.empty() ? "" : ", ") + task.name;
    }
    if (alive.empty() || !co_await one_ended_.wait_until(clock, deadline)) co_return alive;
  }
}

}  // namespace provisioner
