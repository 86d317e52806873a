#include "store/postgres/resolve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>

#include "runtime/signal.hpp"

namespace provisioner::postgres {

using boost::asio::ip::tcp;

Task<Result<std::vector<std::string>>> resolve(boost::asio::any_io_executor loop, Clock& clock,
                                               std::string host, BootInstant deadline) {
  boost::system::error_code is_a_name;
  boost::asio::ip::make_address(host, is_a_name);
  if (!is_a_name) co_return std::vector{host};

  // getaddrinfo cannot be interrupted: an answer that comes late finds nobody, and is dropped.
  struct Answer {
    explicit Answer(const boost::asio::any_io_executor& on) : resolver(on), arrived(on) {}
    tcp::resolver resolver;
    Signal arrived;
    std::optional<Result<std::vector<std::string>>> addresses;
  };
  const auto answer = std::make_shared<Answer>(loop);
  answer->resolver.async_resolve(
      host, "",
      [answer, host](const boost::system::error_code& error,
                     const tcp::resolver::results_type& found) {
        std::vector<std::string> addresses;
        for (const auto& entry : found) {
          auto text = entry.endpoint().address().to_string();
          if (std::ranges::find(addresses, text) == addresses.end()) {
            addresses.push_back(std::move(text));
          }
        }
        if (error || addresses.empty()) {
          answer->addresses =
              fail(ErrorKind::kUnavailable, fmt::format("the name {} has no address: {}", host,
                                                        error ? error.message() : "none is known"));
        } else {
          answer->addresses = std::move(addresses);
        }
        answer->arrived.notify();
      });
  if (!co_await answer->arrived.wait_until(clock, deadline)) {
    co_return fail(ErrorKind::kUnavailable,
                   fmt::format("the name {} was not resolved in time", host));
  }
  co_return *std::move(answer->addresses);
}

}  // namespace provisioner::postgres
