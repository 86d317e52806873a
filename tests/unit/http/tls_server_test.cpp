// TLS as a server speaks it: what it serves, whom it asks for a certificate, and how it changes its
// own without a pause.
#include <gmock/gmock.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include "loopback.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::http {
namespace {

class ServerOverTls : public ::testing::Test {
 protected:
  ServerOverTls() {
    limits_.handshake = 300ms;
    server_.emplace(
        loop_.get_executor(),
        [](Request request) -> Task<Response> {
          co_return text_response(200, request.is_encrypted ? "secret" : "open");
        },
        limits_);
  }
  ~ServerOverTls() override {
    run(loop_, [&]() -> Task<Status> {
      co_await server_->drain();
      co_return Status();
    }());
  }

  static std::shared_ptr<const TlsContext> context(const TlsSettings& settings) {
    return TlsContext::make(TlsRole::kServer, settings).value();
  }
  std::uint16_t listen(const TlsSettings& settings) {
    return server_->listen_tcp("127.0.0.1", 0, context(settings)).value();
  }
  std::unique_ptr<Client> client(const TlsSettings& settings, std::uint16_t port) {
    Endpoint endpoint = Endpoint::tcp("127.0.0.1", port);
    endpoint.tls = true;
    return std::make_unique<Client>(loop_.get_executor(), endpoint,
                                    TlsContext::make(TlsRole::kClient, settings).value());
  }
  std::string get(Client& asking) {
    const auto response = run(loop_, asking.send({}, 20s));
    return response ? response->body : "refused: " + response.error().message;
  }
  std::string get(const TlsSettings& settings, std::uint16_t port) {
    return get(*client(settings, port));
  }
  TlsSettings server_settings(const testing::Authority& authority, int days = 30) const {
    auto settings = authority.issue("server", "DNS:localhost,IP:127.0.0.1", days);
    settings.ca.clear();
    return settings;
  }

  testing::TempDirectory directory_;
  testing::Authority authority_{directory_ / "ours"};
  testing::Authority other_{directory_ / "theirs"};
  boost::asio::io_context loop_;
  ServerLimits limits_;
  std::optional<Server> server_;
};

TEST_F(ServerOverTls, ARequestKnowsThatItCameEncrypted) {
  const auto port = listen(server_settings(authority_));
  EXPECT_EQ(get({.ca = authority_.ca()}, port), "secret");
  const auto plain_port = server_->listen_tcp("127.0.0.1", 0).value();
  Client plain(loop_.get_executor(), Endpoint::tcp("127.0.0.1", plain_port));
  EXPECT_EQ(get(plain), "open");
}

TEST_F(ServerOverTls, NothingIsServedInPlain) {
  Client plain(loop_.get_executor(),
               Endpoint::tcp("127.0.0.1", listen(server_settings(authority_))));
  EXPECT_THAT(get(plain), ::testing::StartsWith("refused"));
}

TEST_F(ServerOverTls, WhoNeverBeginsTlsIsLetGo) {
  const auto port = listen(server_settings(authority_));
  std::string received = "nothing";
  std::thread silent([&] {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char byte = 0;
    if (::recv(fd, &byte, 1, 0) == 0) received = "closed";
    ::close(fd);
    boost::asio::post(loop_, [this] { loop_.stop(); });
  });
  loop_.restart();
  auto work = boost::asio::make_work_guard(loop_);
  loop_.run_for(30s);
  silent.join();
  EXPECT_EQ(received, "closed");
}

TEST_F(ServerOverTls, AsksForACertificateWhereItHasAnAuthorityOfItsClients) {
  TlsSettings settings = authority_.issue("server");
  settings.ca = other_.ca();
  const auto port = listen(settings);
  TlsSettings known = other_.issue("client");
  known.ca = authority_.ca();
  EXPECT_EQ(get(known, port), "secret");
  EXPECT_THAT(get({.ca = authority_.ca()}, port), ::testing::StartsWith("refused"));
  EXPECT_THAT(get(authority_.issue("stranger"), port), ::testing::StartsWith("refused"));
}

TEST_F(ServerOverTls, ANewCertificateCountsForNewConnections) {
  const auto port = listen(server_settings(authority_));
  const auto old_client = client({.ca = authority_.ca()}, port);
  EXPECT_EQ(get(*old_client), "secret");
  server_->renew_tls(context(server_settings(other_)));
  EXPECT_EQ(get(*old_client), "secret") << "on the connection that it has";
  EXPECT_EQ(get({.ca = other_.ca()}, port), "secret");
  EXPECT_THAT(get({.ca = authority_.ca()}, port), ::testing::HasSubstr("not accepted"));
}

TEST_F(ServerOverTls, AnExpiredCertificateIsKnownAsSuchOnBothSides) {
  const auto settings = server_settings(authority_, -1);
  const Instant now{
      std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())};
  EXPECT_LT(context(settings)->expires_at(), now);
  EXPECT_GT(context(server_settings(other_))->expires_at(), now + std::chrono::hours(24 * 29));
  const auto port = listen(settings);
  EXPECT_THAT(get({.ca = authority_.ca()}, port), ::testing::HasSubstr("expired"));
}

}  // namespace
}  // namespace provisioner::http
