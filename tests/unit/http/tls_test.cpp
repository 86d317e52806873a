// TLS as a client meets it: whom it believes, whom it refuses, and what it says then.
#include "http/tls.hpp"

#include <gmock/gmock.h>

#include <boost/asio/detached.hpp>

#include "http/listener.hpp"
#include "http/wire.hpp"
#include "loopback.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::http {
namespace {

// Answers every request over TLS with "hello", keeping the connection.
class TlsPeer {
 public:
  TlsPeer(boost::asio::io_context& loop, const TlsSettings& settings)
      : loop_(loop),
        context_(TlsContext::make(TlsRole::kServer, settings).value()),
        listener_(Listener::tcp(loop.get_executor(), "127.0.0.1", 0).value()) {
    boost::asio::co_spawn(loop, accept(), boost::asio::detached);
  }

  std::uint16_t port() const { return listener_.port(); }
  int handshakes = 0;
  bool answer_whole = true;

 private:
  Task<> accept() {
    while (co_await listener_.wait()) {
      const auto accepted = listener_.accept();
      if (!accepted || !*accepted) continue;
      boost::asio::co_spawn(loop_, converse(**accepted), boost::asio::detached);
    }
  }

  Task<> converse(Accepted accepted) {
    Wire wire(loop_.get_executor());
    if (!wire.adopt(accepted.fd, accepted.family)) co_return;
    wire.arm(20s);
    if (!co_await wire.secure(*context_, "")) co_return;
    ++handshakes;
    std::string received(4096, '\0');
    while (true) {
      const auto size = co_await wire.read_some(received);
      if (!size || *size == 0) break;
      (void)co_await wire.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
      if (!answer_whole) break;
      (void)co_await wire.write("lo");
    }
  }

  boost::asio::io_context& loop_;
  std::shared_ptr<const TlsContext> context_;
  Listener listener_;
};

class ClientOverTls : public ::testing::Test {
 protected:
  Result<Response> get(const TlsSettings& settings, std::uint16_t port,
                       const std::string& host = "127.0.0.1") {
    Endpoint endpoint = Endpoint::tcp(host, port);
    endpoint.tls = true;
    auto tls = TlsContext::make(TlsRole::kClient, settings);
    if (!tls) return std::unexpected(tls.error());
    Client client(loop_.get_executor(), endpoint, *tls);
    return run(loop_, client.send({}, 20s));
  }
  std::string refusal(const TlsSettings& settings, std::uint16_t port,
                      const std::string& host = "127.0.0.1") {
    const auto response = get(settings, port, host);
    return response ? "accepted" : response.error().message;
  }

  testing::TempDirectory directory_;
  testing::Authority authority_{directory_ / "ours"};
  boost::asio::io_context loop_;
};

TEST_F(ClientOverTls, TalksToAServerOfAnAuthorityThatItTrusts) {
  TlsPeer peer(loop_,
               {.cert = authority_.issue("server").cert, .key = authority_.issue("server").key});
  for (const char* host : {"127.0.0.1", "localhost"}) {
    const auto response = get({.ca = authority_.ca()}, peer.port(), host);
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->body, "hello");
  }
}

TEST_F(ClientOverTls, KeepsItsConnection) {
  TlsPeer peer(loop_, authority_.issue("both"));
  Endpoint endpoint = Endpoint::tcp("127.0.0.1", peer.port());
  endpoint.tls = true;
  Client client(loop_.get_executor(), endpoint,
                TlsContext::make(TlsRole::kClient, authority_.issue("client")).value());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(run(loop_, client.send({}, 20s)));
  EXPECT_EQ(peer.handshakes, 1);
}

TEST_F(ClientOverTls, RefusesAStrangersCertificateAndSaysWhy) {
  const testing::Authority other(directory_ / "theirs");
  TlsPeer peer(loop_, authority_.issue("server"));
  EXPECT_THAT(refusal({.ca = other.ca()}, peer.port()),
              ::testing::HasSubstr("the certificate of 127.0.0.1 is not accepted"));
  EXPECT_EQ(get({.ca = other.ca()}, peer.port()).error().kind, ErrorKind::kUnavailable);
}

TEST_F(ClientOverTls, RefusesACertificateForAnotherName) {
  const auto settings = authority_.issue("elsewhere", "DNS:elsewhere.example");
  TlsPeer peer(loop_, {.cert = settings.cert, .key = settings.key});
  EXPECT_THAT(refusal({.ca = authority_.ca()}, peer.port(), "localhost"),
              ::testing::HasSubstr("localhost"));
  EXPECT_THAT(refusal({.ca = authority_.ca()}, peer.port()), ::testing::HasSubstr("127.0.0.1"));
  EXPECT_EQ(refusal({.ca = authority_.ca(), .verify = false}, peer.port()), "accepted");
}

TEST_F(ClientOverTls, ShowsItsOwnCertificateWhereItIsAskedForOne) {
  TlsPeer peer(loop_, authority_.issue("server"));
  EXPECT_EQ(refusal(authority_.issue("client"), peer.port()), "accepted");
  EXPECT_NE(refusal({.ca = authority_.ca()}, peer.port()), "accepted");
}

TEST_F(ClientOverTls, AnAnswerThatIsCutShortIsNoAnswer) {
  TlsPeer peer(loop_, authority_.issue("server"));
  peer.answer_whole = false;
  const auto response = get(authority_.issue("client"), peer.port());
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::kAmbiguous);
}

TEST_F(ClientOverTls, GivesUpOnAServerThatNeverBeginsTls) {
  auto listener = Listener::tcp(loop_.get_executor(), "127.0.0.1", 0).value();
  Endpoint endpoint = Endpoint::tcp("127.0.0.1", listener.port());
  endpoint.tls = true;
  Client client(loop_.get_executor(), endpoint,
                TlsContext::make(TlsRole::kClient, {.ca = authority_.ca()}).value());
  EXPECT_EQ(run(loop_, client.send({}, 100ms)).error().kind, ErrorKind::kTimeout);
}

TEST_F(ClientOverTls, SaysWhichFileIsMissingOrWrong) {
  const auto good = authority_.issue("good");
  const auto other = authority_.issue("other");
  const auto what = [](TlsRole role, const TlsSettings& settings) {
    const auto made = TlsContext::make(role, settings);
    return made ? "accepted" : made.error().message;
  };
  EXPECT_THAT(what(TlsRole::kClient, {.ca = directory_ / "none.pem"}),
              ::testing::HasSubstr("none.pem: No such file"));
  EXPECT_THAT(what(TlsRole::kClient, {.ca = good.key}),
              ::testing::HasSubstr("holds no certificate in PEM"));
  EXPECT_THAT(what(TlsRole::kClient, {.cert = good.cert}), ::testing::HasSubstr("needed together"));
  EXPECT_THAT(what(TlsRole::kClient, {.cert = good.cert, .key = other.key}),
              ::testing::HasSubstr("other.key is no key of that certificate"));
  EXPECT_THAT(what(TlsRole::kServer, {}), ::testing::HasSubstr("a server needs a certificate"));
}

}  // namespace
}  // namespace provisioner::http
