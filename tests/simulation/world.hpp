// Virtual time, chance, and the processes that live in it. One thread; the same seed makes the same
// events in the same order.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "runtime/random.hpp"
#include "runtime/task.hpp"

namespace provisioner::simulation {

class World;

// Something that can be stopped and killed: a daemon, a guard, a runner, a tofu. What comes for a
// stopped one waits; what comes for a dead one is lost.
class Process : public std::enable_shared_from_this<Process> {
 public:
  Process(World& world, std::string name) : world_(world), name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  bool alive() const { return alive_; }
  bool stopped() const { return stopped_; }

  // Starts a coroutine of this process; it ends with it.
  void spawn(Task<> task);
  std::size_t coroutines() const { return coroutines_.size(); }

  void stop() { stopped_ = alive_; }
  void go_on();
  // Nothing of it happens afterwards. Its coroutines are unwound when the loop turns.
  void kill();
  // Called once, when it dies in whatever way.
  using Listening = std::uint64_t;
  Listening on_death(std::function<void()> listener) {
    death_.emplace(next_listening_, std::move(listener));
    return next_listening_++;
  }
  void forget(Listening listening) { death_.erase(listening); }

 private:
  friend class World;
  World& world_;
  std::string name_;
  bool alive_ = true;
  bool stopped_ = false;
  std::vector<std::function<void()>> waiting_;  // while stopped
  Listening next_listening_ = 0;
  std::map<Listening, std::function<void()>> death_;
  struct Coroutine {
    boost::asio::cancellation_signal cancel;
  };
  std::list<std::shared_ptr<Coroutine>> coroutines_;
};
using ProcessPtr = std::shared_ptr<Process>;

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {}

  boost::asio::any_io_executor executor() { return loop_.get_executor(); }
  // True time since the beginning; no process sees it.
  Duration now() const { return now_; }

  // Does `act` at `when` in the life of `who` (nullptr: the outside world).
  using EventId = std::pair<Duration, std::uint64_t>;
  EventId at(Duration when, ProcessPtr who, std::function<void()> act);
  EventId after(Duration delay, ProcessPtr who, std::function<void()> act) {
    return at(now_ + delay, std::move(who), std::move(act));
  }
  void cancel(EventId id) { events_.erase(id); }

  // The next event, and everything that follows from it at once. False when there is none before
  // `end`; it is then `end`.
  bool step(Duration end);
  // Everything that is ready.
  void settle();

  // Chance.
  bool chance(double probability) { return random_.fraction() < probability; }
  std::int64_t number(std::int64_t least, std::int64_t most);
  Duration between(Duration least, Duration most) {
    return Duration(number(least.count(), most.count()));
  }
  std::uint64_t seed_for_another() { return random_.number(); }

  // What the trace of this run is told apart by.
  void note(std::string_view what);
  std::uint64_t trace() const { return trace_; }
  std::uint64_t events() const { return happened_; }

  // With a listener, each note is told; for people who look into one seed.
  std::function<void(Duration, std::string_view)> on_note;

 private:
  struct Event {
    ProcessPtr who;
    bool of_process = false;
    std::function<void()> act;
  };
  boost::asio::io_context loop_{1};
  SeededRandom random_;
  Duration now_{0};
  std::uint64_t next_ = 0;
  std::map<EventId, Event> events_;
  std::uint64_t trace_ = 14695981039346656037ULL;
  std::uint64_t happened_ = 0;
};

// A value that one part of the world hands to another. Waiting ends early, without a value, when
// the waiting coroutine is cancelled.
template <typename T>
class Answer {
 public:
  explicit Answer(World& world)
      : wake_(world.executor(), std::chrono::steady_clock::time_point::max()) {}

  // The first one counts.
  void set(T value) {
    if (value_) return;
    value_.emplace(std::move(value));
    wake_.cancel();
  }
  bool has_value() const { return value_.has_value(); }

  // Of a shared answer, so that it outlives both sides.
  static Task<std::optional<T>> wait(std::shared_ptr<Answer> answer) {
    if (!answer->value_) {
      boost::system::error_code cancelled_is_the_wake_up;
      co_await answer->wake_.async_wait(
          boost::asio::redirect_error(boost::asio::use_awaitable, cancelled_is_the_wake_up));
    }
    co_return std::move(answer->value_);
  }

 private:
  std::optional<T> value_;
  boost::asio::steady_timer wake_;
};

// Lets time pass in the life of `who`.
Task<> pass(World& world, ProcessPtr who, Duration time);

// Between two processes of one machine.
inline constexpr Duration kWay = std::chrono::microseconds(50);

// Has `to` do `work` for `from` on the same machine and returns what came of it: kUnavailable when
// `to` is dead or dies, kTimeout after `patience`.
template <typename T>
Task<Result<T>> have_done(World& world, ProcessPtr from, ProcessPtr to, Duration patience,
                          std::function<Task<Result<T>>()> work) {
  if (!to || !to->alive()) {
    co_await pass(world, from, kWay);
    co_return fail(ErrorKind::kUnavailable, "nobody listens");
  }
  const auto answer = std::make_shared<Answer<Result<T>>>(world);
  world.after(kWay, to, [&world, from, to, answer, work = std::move(work)] {
    to->spawn([](World& w, ProcessPtr asker, std::shared_ptr<Answer<Result<T>>> into,
                 std::function<Task<Result<T>>()> wanted) -> Task<> {
      Result<T> done = co_await wanted();
      w.after(kWay, asker, [into, done = std::move(done)] { into->set(done); });
    }(world, from, answer, work));
  });
  const auto listening = to->on_death([&world, from, answer] {
    world.after(kWay, from,
                [answer] { answer->set(fail(ErrorKind::kUnavailable, "connection closed")); });
  });
  const auto timer = world.after(
      patience, from, [answer] { answer->set(fail(ErrorKind::kTimeout, "no answer in time")); });
  auto got = co_await Answer<Result<T>>::wait(answer);
  world.cancel(timer);
  to->forget(listening);
  if (!got) co_return fail(ErrorKind::kCancelled, "the asker ended");
  co_return *std::move(got);
}

}  // namespace provisioner::simulation
