// A network that can be cut, and slow: between clients and a server of 127.0.0.1.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace provisioner::testing {

// A loop for relays that a thread of its own turns.
class Network {
 public:
  ~Network() { loop_.stop(); }
  boost::asio::io_context& loop() { return loop_; }

 private:
  boost::asio::io_context loop_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> stays_{
      loop_.get_executor()};
  std::jthread turning_{[this] { loop_.run(); }};
};

// Forwards TCP connections to `server_port`. While it is cut nothing passes in either direction,
// and nobody is told: connections stay open, new ones are taken, as behind a switch that lost its
// power. What was under way then arrives after the heal. Runs on `loop`, which another thread may
// turn; thread-safe.
class Relay {
 public:
  Relay(boost::asio::io_context& loop, std::uint16_t server_port);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  std::uint16_t port() const { return port_; }
  void cut();
  void heal();
  // The next time that a client says `text` (in one piece): tells so on the loop, and passes it on
  // so much later.
  void hold_back(std::string text, std::chrono::milliseconds by, std::function<void()> seen);
  // From now on what the server says arrives that much later.
  void delay_answers(std::chrono::milliseconds by);

 private:
  struct State;
  struct Line;
  std::shared_ptr<State> state_;
  std::uint16_t port_;
};

}  // namespace provisioner::testing
