#include "tests/contract/store/cutting_proxy.hpp"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/write.hpp>
#include <string_view>

namespace provisioner::testing {

using boost::asio::ip::tcp;
using Code = boost::system::error_code;

struct CuttingProxy::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& on, std::uint16_t server, std::string cut_at)
      : loop(on),
        acceptor(on, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)),
        server_port(server),
        word(std::move(cut_at)) {}

  void accept();

  boost::asio::io_context& loop;
  tcp::acceptor acceptor;
  std::uint16_t server_port;
  std::string word;
  Cut next = Cut::kNever;
  int cuts = 0;
};

// One connection of a client with its own to the server.
struct CuttingProxy::Line : std::enable_shared_from_this<Line> {
  Line(tcp::socket accepted, std::shared_ptr<State> of)
      : client(std::move(accepted)), server(client.get_executor()), proxy(std::move(of)) {}

  void begin() {
    Code error;
    server.connect({boost::asio::ip::address_v4::loopback(), proxy->server_port}, error);
    if (error) return end();
    upward();
    downward();
  }

  void upward() {
    client.async_read_some(
        boost::asio::buffer(up), [self = shared_from_this()](Code error, std::size_t size) {
          if (error) return self->end();
          const std::string_view sent(self->up.data(), size);
          if (self->proxy->next != Cut::kNever && sent.find(self->proxy->word) != sent.npos) {
            self->cut = std::exchange(self->proxy->next, Cut::kNever);
            ++self->proxy->cuts;
            if (self->cut == Cut::kBeforeServer) return self->end();
          }
          boost::asio::write(self->server, boost::asio::buffer(sent), error);
          if (error) return self->end();
          self->upward();
        });
  }

  void downward() {
    server.async_read_some(
        boost::asio::buffer(down), [self = shared_from_this()](Code error, std::size_t size) {
          // What was cut has been answered: it is done, and nobody is told.
          if (error || self->cut == Cut::kBeforeClient) return self->end();
          boost::asio::write(self->client, boost::asio::buffer(self->down, size), error);
          if (error) return self->end();
          self->downward();
        });
  }

  void end() {
    Code ended_already;
    client.close(ended_already);
    server.close(ended_already);
  }

  tcp::socket client, server;
  std::shared_ptr<State> proxy;
  std::array<char, 65536> up{}, down{};
  Cut cut = Cut::kNever;
};

void CuttingProxy::State::accept() {
  acceptor.async_accept([self = shared_from_this()](Code error, tcp::socket accepted) {
    if (error) return;
    std::make_shared<Line>(std::move(accepted), self)->begin();
    self->accept();
  });
}

CuttingProxy::CuttingProxy(boost::asio::io_context& loop, std::uint16_t server_port,
                           std::string word)
    : state_(std::make_shared<State>(loop, server_port, std::move(word))) {
  state_->accept();
}

CuttingProxy::~CuttingProxy() {
  Code closed_all_the_same;
  state_->acceptor.close(closed_all_the_same);
}

std::uint16_t CuttingProxy::port() const { return state_->acceptor.local_endpoint().port(); }
void CuttingProxy::cut(Cut when) { state_->next = when; }
int CuttingProxy::cuts() const { return state_->cuts; }

}  // namespace provisioner::testing
