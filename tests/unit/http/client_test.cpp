#include "http/client.hpp"

#include "loopback.hpp"

namespace provisioner::http {
namespace {

class ClientToServer : public testing::Test {
 protected:
  void SetUp() override {
    const auto port = server_.listen_tcp("127.0.0.1", 0);
    ASSERT_TRUE(port) << port.error().message;
    port_ = *port;
  }
  Task<Response> handle(Request request) {
    ++requests_;
    if (request.target == "/stream") {
      Response response;
      response.stream = [](WriteChunk write) -> Task<> {
        for (int i = 0; i < 3; ++i) (void)co_await write(fmt::format("line {}\n", i));
      };
      co_return response;
    }
    if (request.target == "/hang") co_await clock_.sleep_for(1h);
    co_return text_response(
        request.target == "/none" ? 404 : 200,
        fmt::format("{} {} {}", request.method, request.body.size(), request.remote_address));
  }

  boost::asio::io_context loop_;
  SystemClock clock_{loop_.get_executor()};
  int requests_ = 0;
  Server server_{loop_.get_executor(), [this](Request r) { return handle(std::move(r)); }};
  std::uint16_t port_ = 0;
};

TEST_F(ClientToServer, TalksOverTcpAndKnowsTheRemoteAddress) {
  for (const char* host : {"127.0.0.1", "localhost"}) {
    Client client(loop_.get_executor(), Endpoint::tcp(host, port_));
    for (int i = 0; i < 2; ++i) {
      const auto response = run(loop_, client.send({.method = "UNLOCK", .body = "four"}, 20s));
      ASSERT_TRUE(response) << response.error().message;
      EXPECT_EQ(response->body, "UNLOCK 4 127.0.0.1");
    }
  }
}

TEST_F(ClientToServer, AStatusIsNoError) {
  Client client(loop_.get_executor(), Endpoint::tcp("127.0.0.1", port_));
  const auto response = run(loop_, client.send({.target = "/none"}, 20s));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 404);
}

TEST_F(ClientToServer, CarriesALargeBody) {
  Client client(loop_.get_executor(), Endpoint::tcp("127.0.0.1", port_));
  const auto response =
      run(loop_, client.send({.method = "PUT", .body = std::string(20'000'000, 'x')}, 20s));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "PUT 20000000 127.0.0.1");
}

TEST_F(ClientToServer, StreamsPieceByPieceAndCanStop) {
  Client client(loop_.get_executor(), Endpoint::tcp("127.0.0.1", port_));
  std::string all;
  const auto whole = run(loop_, client.stream({.target = "/stream"}, 20s, [&](auto piece) {
    all += piece;
    return true;
  }));
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(all, "line 0\nline 1\nline 2\n");
  EXPECT_EQ(whole->body, "");
  int pieces = 0;
  ASSERT_TRUE(run(loop_, client.stream({.target = "/stream"}, 20s, [&](auto) {
    ++pieces;
    return false;
  })));
  EXPECT_EQ(pieces, 1);
  const auto after = run(loop_, client.send({}, 20s));
  ASSERT_TRUE(after) << after.error().message;
}

TEST_F(ClientToServer, ARefusedStreamComesAsAWholeResponse) {
  Client client(loop_.get_executor(), Endpoint::tcp("127.0.0.1", port_));
  const auto refused =
      run(loop_, client.stream({.target = "/none"}, 20s, [](auto) -> bool { throw 1; }));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 404);
  EXPECT_EQ(refused->body, "GET 0 127.0.0.1");
}

TEST_F(ClientToServer, GivesUpAfterItsTimeout) {
  Client client(loop_.get_executor(), Endpoint::tcp("127.0.0.1", port_));
  const auto response = run(loop_, client.send({.target = "/hang"}, 500ms));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::kTimeout);
  EXPECT_NE(response.error().message.find("GET /hang"), std::string::npos);
  EXPECT_TRUE(run(loop_, client.send({}, 20s))) << "over a new connection";
}

TEST_F(ClientToServer, RefusesASecondRequestAtTheSameTime) {
  Client client(loop_.get_executor(), Endpoint::tcp("127.0.0.1", port_));
  boost::asio::co_spawn(
      loop_, [&]() -> Task<> { (void)co_await client.send({.target = "/hang"}, 60s); },
      boost::asio::detached);
  run(loop_, [&]() -> Task<bool> {
    while (requests_ == 0) co_await clock_.sleep_for(1ms);
    co_return true;
  }());
  const auto second = run(loop_, client.send({}, 20s));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kInternal);
}

TEST_F(ClientToServer, DoesNotSendATargetThatWouldBeTwoWords) {
  Client client(loop_.get_executor(), Endpoint::tcp("127.0.0.1", port_));
  for (const char* target : {"", "/a b", "/a\r\nX: y"}) {
    const auto response = run(loop_, client.send({.target = target}, 20s));
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().kind, ErrorKind::kInvalid);
  }
  EXPECT_EQ(requests_, 0);
}

// A peer that follows a script, connection by connection: reads a request's header, sends `answer`
// (nothing: closes at once).
class Script {
 public:
  explicit Script(std::vector<std::vector<std::string>> connections) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), length);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    ::listen(fd_, 10);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, connections = std::move(connections)] {
      for (const auto& answers : connections) {
        const int peer = ::accept(fd_, nullptr, nullptr);
        if (peer < 0) return;
        for (const auto& answer : answers) {
          std::string request;
          char byte = 0;
          while (!request.ends_with("\r\n\r\n") && ::recv(peer, &byte, 1, 0) == 1) request += byte;
          if (request.empty()) break;
          ++requests;
          ::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
        }
        ::close(peer);
      }
    });
  }
  ~Script() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  Endpoint endpoint() const { return Endpoint::tcp("127.0.0.1", port_); }

  std::atomic<int> requests = 0;

 private:
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST(Client, SendsAgainWhenAKeptConnectionClosedBeforeAnyReply) {
  Script script({{kOk, ""}, {kOk}});
  boost::asio::io_context loop;
  Client client(loop.get_executor(), script.endpoint());
  ASSERT_TRUE(run(loop, client.send({}, 20s)));
  const auto second = run(loop, client.send({}, 20s));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(script.requests, 3);
}

TEST(Client, DoesNotSendAgainOverAFreshConnection) {
  Script script({{""}, {kOk}});
  boost::asio::io_context loop;
  Client client(loop.get_executor(), script.endpoint());
  const auto response = run(loop, client.send({}, 20s));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::kAmbiguous);
  EXPECT_EQ(script.requests, 1);
}

TEST(Client, DoesNotSendAgainOnceAReplyHasBegun) {
  Script script({{kOk, "HTTP/1.1 200 OK\r\nContent-Le"}, {kOk}});
  boost::asio::io_context loop;
  Client client(loop.get_executor(), script.endpoint());
  ASSERT_TRUE(run(loop, client.send({}, 20s)));
  const auto second = run(loop, client.send({}, 20s));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kAmbiguous);
  EXPECT_EQ(script.requests, 2);
}

TEST(Client, ReadsOverInterimResponsesAndBodiesThatEndWithTheConnection) {
  Script script({{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\n" + kOk,
                  "HTTP/1.0 200 OK\r\n\r\nto the end"}});
  boost::asio::io_context loop;
  Client client(loop.get_executor(), script.endpoint());
  const auto first = run(loop, client.send({}, 20s));
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->body, "ok");
  const auto second = run(loop, client.send({}, 20s));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->body, "to the end");
}

TEST(Client, NothingListensIsUnavailable) {
  TempDirectory directory;
  boost::asio::io_context loop;
  for (const auto& endpoint :
       {Endpoint::unix_socket(directory / "none.sock"), Endpoint::tcp("127.0.0.1", 1)}) {
    Client client(loop.get_executor(), endpoint);
    const auto response = run(loop, client.send({}, 20s));
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().kind, ErrorKind::kUnavailable) << response.error().message;
  }
}

TEST(Client, WaitsForAPlaceInAFullQueueOfAUnixSocket) {
  TempDirectory directory;
  const std::filesystem::path path = directory / "s.sock";
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(fd, 0), 0);
  RawConnection fills_the_queue(path);
  boost::asio::io_context loop;
  Client client(loop.get_executor(), Endpoint::unix_socket(path));
  const auto response = run(loop, client.send({}, 100ms));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::kTimeout) << response.error().message;
  ::close(fd);
}

}  // namespace
}  // namespace provisioner::http
