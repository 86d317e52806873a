#include "tests/simulation/world.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/system/system_error.hpp>
#include <exception>

namespace provisioner::simulation {
namespace {

// What a cancelled coroutine throws at its next suspension; everything else is a bug.
void rethrow_bugs(const std::exception_ptr& thrown) {
  if (!thrown) return;
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    if (error.code() != boost::asio::error::operation_aborted) throw;
  }
}

}  // namespace

void Process::spawn(Task<> task) {
  if (!alive_) return;
  const auto coroutine = std::make_shared<Coroutine>();
  coroutines_.push_back(coroutine);
  boost::asio::co_spawn(world_.executor(), std::move(task),
                        boost::asio::bind_cancellation_slot(
                            coroutine->cancel.slot(),
                            [self = shared_from_this(), coroutine](const std::exception_ptr& e) {
                              self->coroutines_.remove(coroutine);
                              rethrow_bugs(e);
                            }));
}

void Process::go_on() {
  if (!stopped_) return;
  stopped_ = false;
  for (auto& act : std::exchange(waiting_, {})) {
    world_.after(Duration(0), shared_from_this(), std::move(act));
  }
}

void Process::kill() {
  if (!alive_) return;
  alive_ = false;
  stopped_ = false;
  waiting_.clear();
  // A cancellation may end the coroutine at once.
  const auto ending = coroutines_;
  for (const auto& coroutine : ending) {
    coroutine->cancel.emit(boost::asio::cancellation_type::terminal);
  }
  for (const auto& [key, listener] : std::exchange(death_, {})) listener();
}

World::EventId World::at(Duration when, ProcessPtr who, std::function<void()> act) {
  const EventId id(std::max(when, now_), next_++);
  const bool of_process = who != nullptr;
  events_.emplace(id, Event{std::move(who), of_process, std::move(act)});
  return id;
}

bool World::step(Duration end) {
  if (events_.empty() || events_.begin()->first.first > end) {
    now_ = end;
    return false;
  }
  now_ = events_.begin()->first.first;
  Event event = std::move(events_.begin()->second);
  events_.erase(events_.begin());
  if (event.of_process && !event.who->alive()) return true;
  if (event.of_process && event.who->stopped()) {
    event.who->waiting_.push_back(std::move(event.act));
    return true;
  }
  ++happened_;
  trace_ = (trace_ ^ static_cast<std::uint64_t>(now_.count())) * 1099511628211ULL;
  event.act();
  settle();
  return true;
}

void World::settle() {
  do {
    loop_.restart();
  } while (loop_.poll() > 0);
}

Task<> pass(World& world, ProcessPtr who, Duration time) {
  const auto over = std::make_shared<Answer<bool>>(world);
  const auto timer = world.after(time, std::move(who), [over] { over->set(true); });
  co_await Answer<bool>::wait(over);
  world.cancel(timer);
}

std::int64_t World::number(std::int64_t least, std::int64_t most) {
  const auto span = static_cast<std::uint64_t>(most - least) + 1;
  return least + static_cast<std::int64_t>(random_.number() % span);
}

void World::note(std::string_view what) {
  for (const char c : what) {
    trace_ = (trace_ ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  }
  if (on_note) on_note(now_, what);
}

}  // namespace provisioner::simulation
