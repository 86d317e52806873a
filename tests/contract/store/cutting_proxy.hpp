// A network that fails at the worst moment: between a client and a server of 127.0.0.1.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <memory>
#include <string>

namespace provisioner::testing {

// Forwards everything, until the client sends `word`.
class CuttingProxy {
 public:
  enum class Cut {
    kNever,
    kBeforeServer,  // the server never sees it
    kBeforeClient,  // the server does it, its answer is lost
  };

  // Runs on `loop`, while somebody turns it.
  CuttingProxy(boost::asio::io_context& loop, std::uint16_t server_port, std::string word);
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  std::uint16_t port() const;
  void cut(Cut when);  // the next time only
  int cuts() const;

 private:
  struct State;
  struct Line;
  std::shared_ptr<State> state_;
};

}  // namespace provisioner::testing
