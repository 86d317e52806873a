#include <gtest/gtest.h>

#include "http/client.hpp"

namespace provisioner::http {
namespace {

TEST(Endpoint, ParsesWhatItPrints) {
  for (const char* url :
       {"unix:///run/provisioner.sock", "http://127.0.0.1:8080", "http://[::1]:8080",
        "http://host.example:80", "https://etcd-1:2379", "https://[::1]:2379"}) {
    const Result<Endpoint> endpoint = Endpoint::parse(url);
    ASSERT_TRUE(endpoint) << url;
    EXPECT_EQ(endpoint->to_string(), url);
  }
  EXPECT_EQ(Endpoint::parse("http://host/")->port, 80);
  EXPECT_EQ(Endpoint::parse("https://host/")->port, 443);
}

TEST(Endpoint, SaysWhatIsWrong) {
  struct Case {
    const char* url;
    const char* reason;
  };
  for (const auto& c :
       {Case{"", "unknown scheme"}, Case{"ftp://x", "unknown scheme"},
        Case{"https://", "host is missing"}, Case{"unix://run/x", "absolute"},
        Case{"http://", "host is missing"}, Case{"http://:80", "host is missing"},
        Case{"http://x:0", "1 to 65535"}, Case{"http://x:65536", "1 to 65535"},
        Case{"http://x:8a", "1 to 65535"}, Case{"http://x/api", "only host and port"},
        Case{"http://u@x", "only host and port"}, Case{"http://[::1", "']' is missing"},
        Case{"http://[::1]8", "a port must follow"}}) {
    const Result<Endpoint> endpoint = Endpoint::parse(c.url);
    ASSERT_FALSE(endpoint) << c.url;
    EXPECT_EQ(endpoint.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(endpoint.error().message.find(c.reason), std::string::npos)
        << endpoint.error().message;
  }
}

}  // namespace
}  // namespace provisioner::http
