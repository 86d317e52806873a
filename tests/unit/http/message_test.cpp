#include "http/message.hpp"

#include <gtest/gtest.h>

namespace provisioner::http {
namespace {

TEST(Request, PathIsDecodedAndEndsAtTheQuery) {
  struct Case {
    const char* target;
    const char* path;
  };
  for (const auto& c : {Case{"/a/b?x=1", "/a/b"}, Case{"/a%20b%2Fc", "/a b/c"},
                        Case{"/a+b", "/a+b"}, Case{"/100%", "/100%"}, Case{"/%zz", "/%zz"},
                        Case{"/%4", "/%4"}, Case{"", ""}, Case{"?x", ""}, Case{"/a#b", "/a"}}) {
    EXPECT_EQ((Request{.target = c.target}.path()), c.path) << c.target;
  }
}

TEST(Request, QueryFindsTheFirstValueDecoded) {
  const Request request{.target = "/x?a=1&b=two+words&c&d=%26%3D&a=2&=e"};
  EXPECT_EQ(request.query("a"), "1");
  EXPECT_EQ(request.query("b"), "two words");
  EXPECT_EQ(request.query("c"), "");
  EXPECT_EQ(request.query("d"), "&=");
  EXPECT_EQ(request.query("f"), std::nullopt);
  EXPECT_EQ(Request{.target = "/x"}.query("a"), std::nullopt);
}

TEST(Headers, CompareWithoutCase) {
  Request request;
  request.headers["Content-TYPE"] = "text/plain";
  EXPECT_EQ(request.header("content-type"), "text/plain");
  EXPECT_EQ(request.header("content-typ"), "");
}

TEST(EncodeComponent, SurvivesTheWayThroughAPath) {
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte.push_back(static_cast<char>(i));
  EXPECT_EQ(Request{.target = "/" + encode_component(every_byte)}.path(), "/" + every_byte);
  EXPECT_EQ(encode_component("a/b c~"), "a%2Fb%20c~");
}

}  // namespace
}  // namespace provisioner::http
