#include "config/environment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace provisioner {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ChildEnvironment, HoldsTheBasicsAndWhatMatches) {
  const Environment own = {
      {"PATH", "/bin"},         {"HOME", "/root"},          {"AWS_REGION", "eu"},
      {"MY_SECRET", "x"},       {"HTTPS_PROXY", "p"},       {"TF_LOG", "trace"},
      {"TF_HTTP_ADDRESS", "x"}, {"TF_CLI_ARGS_plan", "-x"}, {"SSL_CERT_FILE", "c"}};
  EXPECT_THAT(
      child_environment(own, default_pass_patterns()),
      ElementsAre(Pair("AWS_REGION", "eu"), Pair("HOME", "/root"), Pair("HTTPS_PROXY", "p"),
                  Pair("PATH", "/bin"), Pair("SSL_CERT_FILE", "c"), Pair("TF_LOG", "trace")));
}

TEST(ChildEnvironment, OwnCredentialsNeverPassWhateverThePatternsSay) {
  const Environment own = {{"DATABASE_PASSWORD", "x"}, {"ETCD_ENDPOINTS", "x"},
                           {"PROVISIONER_TOKEN", "x"}, {"REDIS_NODES", "x"},
                           {"NOTIFY_SOCKET", "x"},     {"OTHER", "y"}};
  EXPECT_THAT(child_environment(own, std::vector<std::string>{"*"}),
              ElementsAre(Pair("OTHER", "y")));
}

TEST(NamePatterns, StarsStandForAnyText) {
  const struct {
    const char* pattern;
    const char* name;
    bool matches;
  } cases[] = {{"AWS_*", "AWS_REGION", true},   {"AWS_*", "AWS_", true}, {"AWS_*", "XAWS_A", false},
               {"*_PROXY", "HTTP_PROXY", true}, {"*", "", true},         {"A*B*C", "AxxBxxC", true},
               {"A*B*C", "AxxCxxB", false},     {"HOME", "HOMES", false}};
  for (const auto& c : cases) {
    EXPECT_EQ(matches_name(c.pattern, c.name), c.matches) << c.pattern << " on " << c.name;
  }
}

}  // namespace
}  // namespace provisioner
