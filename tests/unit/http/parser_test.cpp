#include "http/parser.hpp"

#include <gtest/gtest.h>

namespace provisioner::http {
namespace {

constexpr Parser::Limits kLimits{.header_bytes = 256, .body_bytes = 64};

// Feeds `bytes` in pieces of `size`; returns the failure's status, 0 when the message was complete,
// -1 when it was not.
int feed(Parser& parser, std::string_view bytes, std::size_t size) {
  std::string unread;
  // Once more at the end with what was left, as if a byte more had come.
  for (std::size_t at = 0; at < bytes.size() + size && !parser.done(); at += size) {
    if (at < bytes.size()) unread.append(bytes.substr(at, size));
    const auto used = parser.put(unread);
    if (!used) return used.error().status;
    unread.erase(0, *used);
  }
  return parser.done() ? 0 : -1;
}

TEST(Parser, ReadsTheSameMessageWhateverThePiecesAre) {
  const std::string_view bytes =
      "LOCK /state/shop?ID=7 HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nX-A: 2\r\n"
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n";
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    Parser parser(Parser::Kind::kRequest, kLimits);
    ASSERT_EQ(feed(parser, bytes, size), 0) << size;
    EXPECT_EQ(parser.request().method, "LOCK");
    EXPECT_EQ(parser.request().target, "/state/shop?ID=7");
    EXPECT_EQ(parser.request().header("x-a"), "1, 2");
    EXPECT_EQ(parser.request().body, "hello world");
    EXPECT_TRUE(parser.keep_alive());
  }
}

TEST(Parser, AnEmptyChunkedBodyMayArriveByteByByte) {
  const std::string_view bytes = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    Parser parser(Parser::Kind::kRequest, kLimits);
    EXPECT_EQ(feed(parser, bytes, size), 0) << size;
  }
  Parser garbage(Parser::Kind::kRequest, kLimits);
  EXPECT_EQ(
      feed(garbage, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nhello\r\n\r\n", 1),
      400);
}

TEST(Parser, RefusesWhatIsTooLongOrAmbiguous) {
  const std::string long_value(300, 'v');
  const std::string long_body(65, 'b');
  struct Case {
    const char* what;
    std::string bytes;
    int status;
  };
  const Case cases[] = {
      {"long header", "GET / HTTP/1.1\r\nX: " + long_value + "\r\n\r\n", 431},
      {"long start line", "GET /" + long_value + " HTTP/1.1\r\n\r\n", 431},
      {"long body", "POST / HTTP/1.1\r\nContent-Length: 65\r\n\r\n" + long_body, 413},
      {"long chunk",
       "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n" + long_body + "\r\n0\r\n\r\n",
       413},
      {"huge length", "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
      {"negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
      {"two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
      {"length and chunks",
       "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"bad chunk size", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx", 400},
      {"endless chunk line", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + long_value,
       400},
      {"no version", "GET /\r\n\r\n", 400},
      {"other protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 400},
      {"TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400},
      {"space in the name", "GET / HTTP/1.1\r\nX Y: 1\r\n\r\n", 400},
  };
  for (const Case& c : cases) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{7}, c.bytes.size()}) {
      Parser parser(Parser::Kind::kRequest, kLimits);
      EXPECT_EQ(feed(parser, c.bytes, size), c.status) << c.what << " in pieces of " << size;
    }
  }
}

TEST(Parser, AResponseWithoutLengthEndsWithTheConnection) {
  Parser parser(Parser::Kind::kResponse, kLimits);
  ASSERT_EQ(feed(parser, "HTTP/1.1 200 OK\r\n\r\nsome", 100), -1);
  ASSERT_TRUE(parser.put_end());
  EXPECT_TRUE(parser.done());
  EXPECT_FALSE(parser.keep_alive());
  EXPECT_EQ(parser.response().body, "some");
}

TEST(Parser, AResponseThatEndsTooEarlyIsAnError) {
  Parser parser(Parser::Kind::kResponse, kLimits);
  ASSERT_EQ(feed(parser, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsome", 100), -1);
  EXPECT_FALSE(parser.put_end());
}

TEST(Parser, LeavesTheNextMessageAlone) {
  Parser parser(Parser::Kind::kRequest, kLimits);
  const std::string_view first = "GET /a HTTP/1.1\r\n\r\n";
  const auto used = parser.put(std::string(first) + "GET /b HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(used);
  EXPECT_EQ(*used, first.size());
  EXPECT_TRUE(parser.done());
}

}  // namespace
}  // namespace provisioner::http
