#include "http/server.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <boost/asio/post.hpp>

#include "loopback.hpp"
#include "runtime/signal.hpp"

namespace provisioner::http {
namespace {

// The server runs on a loop in a thread of its own; the test speaks raw bytes.
class RawServer : public testing::Test {
 protected:
  void serve(Handler handler, ServerLimits limits = {}) {
    server_.emplace(loop_.get_executor(), std::move(handler), limits,
                    [this](const std::string& what) { bug_ = what; });
    ASSERT_TRUE(server_->listen_unix(path_, 0600));
    thread_ = std::thread([this] {
      auto work = boost::asio::make_work_guard(loop_);
      loop_.run();
    });
  }
  void TearDown() override {
    if (!thread_.joinable()) return;
    boost::asio::post(loop_, [this] {
      server_.reset();
      loop_.stop();
    });
    thread_.join();
  }
  std::string ask(std::string_view bytes, std::string_view enough = "") {
    RawConnection connection(path_);
    EXPECT_TRUE(connection.send(bytes));
    return connection.receive(enough);
  }
  static Task<Response> echo(Request request) {
    co_return text_response(200, request.method + " " + request.target + " " + request.body);
  }

  TempDirectory directory_;
  std::filesystem::path path_ = directory_ / "s.sock";
  boost::asio::io_context loop_;
  std::optional<Server> server_;
  std::string bug_;
  std::thread thread_;
};

TEST_F(RawServer, AnswersGarbageWith400AndGoesOn) {
  serve(echo);
  EXPECT_TRUE(ask("\x16\x03\x01 garbage\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask("GET / HTTP/9.9\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask("LOCK /x HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
                  .ends_with("\r\n\r\nLOCK /x hi"));
}

TEST_F(RawServer, AnswersAPeerThatHasClosedItsSendingSide) {
  serve(echo);
  RawConnection connection(path_);
  ASSERT_TRUE(connection.send("GET /half HTTP/1.1\r\n\r\n"));
  connection.end_sending();
  EXPECT_TRUE(connection.receive().ends_with("GET /half "));
}

TEST_F(RawServer, ARequestThatEndsTooEarlyIs400) {
  serve(echo);
  RawConnection connection(path_);
  ASSERT_TRUE(connection.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nab"));
  connection.end_sending();
  EXPECT_TRUE(connection.receive().starts_with("HTTP/1.1 400 "));
}

TEST_F(RawServer, AnswersPipelinedRequestsInOrder) {
  serve(echo);
  const std::string all =
      ask("GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 1\r\n\r\nxGET /3 HTTP/1.1\r\n"
          "Connection: close\r\n\r\n");
  const auto first = all.find("GET /1"), second = all.find("POST /2 x"), third = all.find("GET /3");
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_NE(third, std::string::npos);
}

TEST_F(RawServer, EndsASlowRequestWith408AndASilentConnectionWithoutAWord) {
  serve(echo, {.idle = 2s});
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nX-Slow: ").starts_with("HTTP/1.1 408 "));
  EXPECT_EQ(ask(""), "");
}

TEST_F(RawServer, ADripOfBytesDoesNotProlongTheHeader) {
  serve(echo, {.idle = 2s});
  RawConnection connection(path_);
  std::string sent = "GET / HTTP/1.1\r\nX: ";
  ASSERT_TRUE(connection.send(sent));
  int drips = 0;
  while (connection.send("a") && drips < 2000) {
    ++drips;
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_LT(drips, 1000);
}

TEST_F(RawServer, RefusesTooLongABodyBeforeReadingIt) {
  serve(echo, {.body_bytes = 1000});
  RawConnection connection(path_);
  ASSERT_TRUE(connection.send("PUT / HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n"));
  const std::string answer = connection.receive();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 ")) << answer;
  EXPECT_NE(answer.find("longer than 1000 bytes"), std::string::npos);
}

TEST_F(RawServer, TheRefusalArrivesThoughThePeerIsStillSending) {
  serve(echo, {.body_bytes = 1000});
  RawConnection connection(path_);
  connection.send("PUT / HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n");
  connection.send(std::string(4'000'000, 'x'));
  EXPECT_TRUE(connection.receive().starts_with("HTTP/1.1 413 "));
}

TEST_F(RawServer, SaysContinueWhenAskedTo) {
  serve(echo);
  RawConnection connection(path_);
  ASSERT_TRUE(connection.send(
      "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"));
  EXPECT_EQ(connection.receive("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(connection.send("ok"));
  EXPECT_TRUE(connection.receive().ends_with("PUT / ok"));
}

TEST_F(RawServer, AThrowingHandlerIs500AndTheServerLives) {
  serve([](Request request) -> Task<Response> {
    if (request.target == "/bug") throw std::runtime_error("the bug");
    co_return text_response(200, "fine");
  });
  EXPECT_TRUE(ask("GET /bug HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 500 "));
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").ends_with("fine"));
  EXPECT_NE(bug_.find("the bug"), std::string::npos);
}

TEST_F(RawServer, HeadHasTheLengthButNoBody) {
  serve(echo);
  const std::string answer = ask("HEAD /x HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("Content-Length: 8\r\n"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST_F(RawServer, AHeaderValueCannotStartALineOfItsOwn) {
  serve([](Request) -> Task<Response> {
    Response response = text_response(200, "");
    response.headers["X-Name"] = "a\r\nX-Injected: b";
    co_return response;
  });
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").find("\r\nX-Injected"),
            std::string::npos);
}

TEST_F(RawServer, StreamsInChunksAndToTheEndBefore11) {
  serve([](Request) -> Task<Response> {
    Response response;
    response.stream = [](WriteChunk write) -> Task<> {
      for (const char* part : {"one", "", "two"}) (void)co_await write(part);
    };
    co_return response;
  });
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
                  .ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
  EXPECT_TRUE(ask("GET / HTTP/1.0\r\n\r\n").ends_with("\r\n\r\nonetwo"));
}

TEST_F(RawServer, AStreamLearnsThatItsReaderHasGone) {
  std::atomic<bool> learnt = false;
  serve([&](Request) -> Task<Response> {
    Response response;
    response.stream = [&](WriteChunk write) -> Task<> {
      const std::string piece(10000, 'x');
      while (co_await write(piece)) {
      }
      learnt = true;
    };
    co_return response;
  });
  RawConnection connection(path_);
  connection.send("GET / HTTP/1.1\r\n\r\n");
  connection.receive("\r\n\r\n");
  connection.close();
  for (int i = 0; i < 1000 && !learnt; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(learnt);
}

TEST_F(RawServer, KnowsThePeerAndKeepsDescriptorsFromChildren) {
  serve([](Request request) -> Task<Response> {
    int inheritable = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      const int fd = std::stoi(entry.path().filename().string());
      struct stat s{};
      if (::fstat(fd, &s) == 0 && S_ISSOCK(s.st_mode) && (::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0) {
        ++inheritable;
      }
    }
    co_return text_response(200, fmt::format("uid {} pid {} inheritable {}", request.peer->uid,
                                             request.peer->pid, inheritable));
  });
  RawConnection connection(path_);
  connection.send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  // The test's own end is the one that may be inherited.
  EXPECT_TRUE(connection.receive().ends_with(
      fmt::format("uid {} pid {} inheritable 1", ::getuid(), ::getpid())));
}

TEST_F(RawServer, KnowsTheGroupsOfThePeer) {
  serve([](Request request) -> Task<Response> {
    std::string groups;
    for (const auto gid : request.peer->groups) groups += fmt::format("{},", gid);
    co_return text_response(200, groups);
  });
  gid_t own[1024];
  const int count = ::getgroups(1024, own);
  std::string expected = "\r\n\r\n";
  for (int i = 0; i < count; ++i) expected += fmt::format("{},", own[i]);
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").ends_with(expected));
}

TEST(Server, GivesTheSocketFileItsModeAndReplacesAStaleOne) {
  TempDirectory directory;
  const std::filesystem::path path = directory / "s.sock";
  boost::asio::io_context loop;
  const auto handler = [](Request) -> Task<Response> { co_return text_response(200, ""); };
  {
    // What a killed daemon leaves behind.
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.native().copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::close(fd);
  }
  {
    Server server(loop.get_executor(), handler);
    ASSERT_TRUE(server.listen_unix(path, 0660));
    struct stat s{};
    ASSERT_EQ(::lstat(path.c_str(), &s), 0);
    EXPECT_EQ(s.st_mode & 0777, 0660U);
    EXPECT_TRUE(RawConnection(path).connected());
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}), 1);
  }
  EXPECT_FALSE(std::filesystem::exists(path)) << "the file goes with its server";
}

TEST(Server, LeavesTheSocketOfItsSuccessorAlone) {
  TempDirectory directory;
  const std::filesystem::path path = directory / "s.sock";
  boost::asio::io_context loop;
  const auto handler = [](Request) -> Task<Response> { co_return text_response(200, ""); };
  std::optional<Server> first(std::in_place, loop.get_executor(), handler);
  ASSERT_TRUE(first->listen_unix(path, 0600));
  Server second(loop.get_executor(), handler);
  ASSERT_TRUE(second.listen_unix(path, 0600));
  first.reset();
  EXPECT_TRUE(RawConnection(path).connected());
}

TEST(Server, SaysWhyItCannotListen) {
  TempDirectory directory;
  boost::asio::io_context loop;
  const auto handler = [](Request) -> Task<Response> { co_return text_response(200, ""); };
  Server server(loop.get_executor(), handler);
  std::filesystem::create_directory(directory / "dir");
  const Status not_a_socket = server.listen_unix(directory / "dir", 0600);
  ASSERT_FALSE(not_a_socket);
  EXPECT_EQ(not_a_socket.error().kind, ErrorKind::kConflict);
  EXPECT_TRUE(std::filesystem::exists(directory / "dir"));

  const Status too_long = server.listen_unix(directory / std::string(120, 'a').c_str(), 0600);
  ASSERT_FALSE(too_long);
  EXPECT_NE(too_long.error().message.find("too long"), std::string::npos);

  const Status no_directory = server.listen_unix(directory / "none/s.sock", 0600);
  ASSERT_FALSE(no_directory);
  EXPECT_EQ(no_directory.error().kind, ErrorKind::kNotFound);

  const Result<std::uint16_t> port = server.listen_tcp("127.0.0.1", 0);
  ASSERT_TRUE(port) << port.error().message;
  EXPECT_NE(*port, 0);
  Server other(loop.get_executor(), handler);
  const Result<std::uint16_t> taken = other.listen_tcp("127.0.0.1", *port);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::kConflict);
  EXPECT_NE(taken.error().message.find(std::to_string(*port)), std::string::npos);
}

TEST(Server, DrainAnswersWhatIsInFlightAndEndsStreamsWithoutAnEnd) {
  TempDirectory directory;
  const std::filesystem::path path = directory / "s.sock";
  boost::asio::io_context loop;
  SystemClock clock(loop.get_executor());
  Signal go(loop.get_executor());
  int in_handler = 0;
  int streams_ended = 0;
  Server server(loop.get_executor(), [&](Request request) -> Task<Response> {
    ++in_handler;
    Response response = text_response(200, "answered");
    if (request.target == "/finite") {
      response.stream = [&](WriteChunk write) -> Task<> {
        co_await write("one ");
        co_await go.wait();
        co_await write("two");
      };
    } else if (request.target != "/slow") {
      if (request.target == "/events") response.farewell = "goodbye";
      if (request.target == "/text") response.farewell = "";
      response.stream = [&](WriteChunk write) -> Task<> {
        struct AtEnd {
          int& count;
          ~AtEnd() { ++count; }
        } at_end{streams_ended};
        while (co_await write("tick ")) co_await clock.sleep_for(1h);
      };
    } else {
      co_await go.wait();
    }
    co_return response;
  });
  ASSERT_TRUE(server.listen_unix(path, 0600));
  const std::vector<std::string> targets = {"/slow", "/finite", "/events", "/text"};
  struct Asked {
    explicit Asked(boost::asio::io_context& loop, const std::filesystem::path& at)
        : client(loop.get_executor(), Endpoint::unix_socket(at)) {}
    Client client;
    std::string text;
    std::optional<Result<Response>> answer;
  };
  std::map<std::string, std::unique_ptr<Asked>> asked;
  for (const std::string& target : targets) {
    asked[target] = std::make_unique<Asked>(loop, path);
    boost::asio::co_spawn(
        loop,
        [](Asked& ask, std::string at) -> Task<> {
          ask.answer = co_await ask.client.stream({.target = at}, 20s, [&](auto piece) {
            ask.text += piece;
            return true;
          });
        }(*asked[target], target),
        boost::asio::detached);
  }
  const bool done = run(loop, [&]() -> Task<bool> {
    while (in_handler < 4 || asked["/finite"]->text.empty() || asked["/events"]->text.empty() ||
           asked["/text"]->text.empty()) {
      co_await clock.sleep_for(1ms);
    }
    boost::asio::post(loop, [&] { go.notify(); });
    co_await server.drain();
    for (const auto& [target, ask] : asked) {
      while (!ask->answer) co_await clock.sleep_for(1ms);
    }
    co_return true;
  }());
  ASSERT_TRUE(done);
  EXPECT_TRUE(*asked["/slow"]->answer);
  EXPECT_EQ(asked["/slow"]->text, "answered");
  EXPECT_TRUE(*asked["/finite"]->answer);
  EXPECT_EQ(asked["/finite"]->text, "one two");
  EXPECT_TRUE(*asked["/events"]->answer);
  EXPECT_EQ(asked["/events"]->text, "tick goodbye");
  ASSERT_FALSE(*asked["/text"]->answer);
  EXPECT_EQ(asked["/text"]->answer->error().kind, ErrorKind::kAmbiguous);
  EXPECT_EQ(streams_ended, 2);
  EXPECT_FALSE(RawConnection(path).connected());
}

TEST(Server, DrainAnswersWhoHasJustConnectedAndCutsOffWhoIsIdle) {
  TempDirectory directory;
  const std::filesystem::path path = directory / "s.sock";
  boost::asio::io_context loop;
  SystemClock clock(loop.get_executor());
  int answered = 0;
  Server server(loop.get_executor(), [&](Request) -> Task<Response> {
    ++answered;
    co_return text_response(200, "x");
  });
  ASSERT_TRUE(server.listen_unix(path, 0600));
  const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  RawConnection idle(path);
  idle.send(request);
  run(loop, [&]() -> Task<bool> {
    while (answered < 1) co_await clock.sleep_for(1ms);
    co_return true;
  }());
  // The server's loop stands still meanwhile: the kernel alone has accepted these two.
  RawConnection asks(path), says_nothing(path);
  asks.send(request);
  run(loop, [&]() -> Task<bool> {
    co_await server.drain();
    co_return true;
  }());
  EXPECT_EQ(answered, 2);
  EXPECT_NE(asks.receive().find("Connection: close"), std::string::npos);
  EXPECT_EQ(says_nothing.receive(), "");
  EXPECT_TRUE(idle.receive().ends_with("\r\n\r\nx")) << "one answer, and then the end";
}

TEST(Server, SaysThatItKeepsNoConnectionAnyMore) {
  TempDirectory directory;
  const std::filesystem::path path = directory / "s.sock";
  boost::asio::io_context loop;
  Server server(loop.get_executor(),
                [](Request) -> Task<Response> { co_return text_response(200, "x"); });
  ASSERT_TRUE(server.listen_unix(path, 0600));
  Client client(loop.get_executor(), Endpoint::unix_socket(path));
  const auto before = run(loop, client.send({}, 20s));
  server.end_keep_alive();
  const auto last = run(loop, client.send({}, 20s));
  const auto anew = run(loop, client.send({}, 20s));
  ASSERT_TRUE(before && last && anew);
  EXPECT_EQ(before->headers.at("Connection"), "keep-alive");
  EXPECT_EQ(last->headers.at("Connection"), "close");
  EXPECT_EQ(anew->headers.at("Connection"), "close");
}

TEST(Server, WaitsWithAcceptingWhenItHasAllTheConnectionsItMayHave) {
  TempDirectory directory;
  const std::filesystem::path path = directory / "s.sock";
  boost::asio::io_context loop;
  Server server(loop.get_executor(),
                [](Request) -> Task<Response> { co_return text_response(200, "x"); },
                {.connections = 1});
  ASSERT_TRUE(server.listen_unix(path, 0600));
  std::optional<Client> first(std::in_place, loop.get_executor(), Endpoint::unix_socket(path));
  Client second(loop.get_executor(), Endpoint::unix_socket(path));
  ASSERT_TRUE(run(loop, first->send({}, 20s)));
  const Result<Response> waiting = run(loop, second.send({}, 100ms));
  ASSERT_FALSE(waiting);
  EXPECT_EQ(waiting.error().kind, ErrorKind::kTimeout);
  first.reset();
  EXPECT_TRUE(run(loop, second.send({}, 20s)));
}

}  // namespace
}  // namespace provisioner::http
