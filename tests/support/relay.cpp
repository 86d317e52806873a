#include "tests/support/relay.hpp"

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

namespace provisioner::testing {

using boost::asio::ip::tcp;
using Code = boost::system::error_code;

// Touched on the loop only.
struct Relay::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& on, std::uint16_t server)
      : loop(on),
        acceptor(on, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)),
        server_port(server) {}

  void accept();
  // At once, or after the heal.
  void pass(std::function<void()> what) {
    if (is_cut) {
      waiting.push_back(std::move(what));
    } else {
      what();
    }
  }

  boost::asio::io_context& loop;
  tcp::acceptor acceptor;
  std::uint16_t server_port;
  bool is_cut = false;
  std::chrono::milliseconds answers_late{0};
  std::string wanted;  // "" = nothing is held back
  std::chrono::milliseconds hold{0};
  std::function<void()> on_wanted;
  std::vector<std::function<void()>> waiting;
};

// One connection of a client with its own to the server.
struct Relay::Line : std::enable_shared_from_this<Line> {
  struct Way {
    tcp::socket& from;
    tcp::socket& to;
    std::array<char, 65536> bytes{};
  };

  Line(tcp::socket accepted, std::shared_ptr<State> of)
      : client(std::move(accepted)), server(client.get_executor()), relay(std::move(of)) {}

  void begin() {
    Code error;
    server.connect({boost::asio::ip::address_v4::loopback(), relay->server_port}, error);
    if (error) return end();
    // Else what comes in two pieces is kept back for the 40 ms of a delayed acknowledgement.
    client.set_option(tcp::no_delay(true), error);
    server.set_option(tcp::no_delay(true), error);
    read(up);
    read(down);
  }

  void read(Way& way) {
    way.from.async_read_some(boost::asio::buffer(way.bytes), [self = shared_from_this(), &way](
                                                                 Code error, std::size_t size) {
      self->later(self->delay_of(way, size), [self, &way, error, size] {
        self->relay->pass([self, &way, error, size] { self->write(way, error, size); });
      });
    });
  }

  std::chrono::milliseconds delay_of(const Way& way, std::size_t size) {
    if (&way == &down) return relay->answers_late;
    const std::string_view said(way.bytes.data(), size);
    if (relay->wanted.empty() || !said.contains(relay->wanted)) return {};
    relay->wanted.clear();
    relay->on_wanted();
    return relay->hold;
  }

  void later(std::chrono::milliseconds delay, std::function<void()> what) {
    if (delay.count() == 0) return what();
    const auto timer = std::make_shared<boost::asio::steady_timer>(relay->loop);
    timer->expires_after(delay);
    timer->async_wait([timer, what = std::move(what)](Code) { what(); });
  }

  void write(Way& way, Code error, std::size_t size) {
    if (error) return end();
    boost::asio::async_write(way.to, boost::asio::buffer(way.bytes, size),
                             [self = shared_from_this(), &way](Code failed, std::size_t) {
                               if (failed) return self->end();
                               self->read(way);
                             });
  }

  void end() {
    Code ended_already;
    client.close(ended_already);
    server.close(ended_already);
  }

  tcp::socket client, server;
  std::shared_ptr<State> relay;
  Way up{client, server}, down{server, client};
};

void Relay::State::accept() {
  acceptor.async_accept([self = shared_from_this()](Code error, tcp::socket accepted) {
    if (error) return;
    auto line = std::make_shared<Line>(std::move(accepted), self);
    self->pass([line] { line->begin(); });
    self->accept();
  });
}

Relay::Relay(boost::asio::io_context& loop, std::uint16_t server_port)
    : state_(std::make_shared<State>(loop, server_port)),
      port_(state_->acceptor.local_endpoint().port()) {
  state_->accept();
}

Relay::~Relay() {
  boost::asio::post(state_->loop, [state = state_] {
    Code closed_all_the_same;
    state->acceptor.close(closed_all_the_same);
    state->waiting.clear();
  });
}

void Relay::cut() {
  boost::asio::post(state_->loop, [state = state_] { state->is_cut = true; });
}

void Relay::hold_back(std::string text, std::chrono::milliseconds by, std::function<void()> seen) {
  boost::asio::post(state_->loop,
                    [state = state_, text = std::move(text), by, seen = std::move(seen)]() mutable {
                      state->wanted = std::move(text);
                      state->hold = by;
                      state->on_wanted = std::move(seen);
                    });
}

void Relay::delay_answers(std::chrono::milliseconds by) {
  boost::asio::post(state_->loop, [state = state_, by] { state->answers_late = by; });
}

void Relay::heal() {
  boost::asio::post(state_->loop, [state = state_] {
    state->is_cut = false;
    for (const auto& pass : std::exchange(state->waiting, {})) pass();
  });
}

}  // namespace provisioner::testing
