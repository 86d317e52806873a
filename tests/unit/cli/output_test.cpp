#include <gtest/gtest.h>

#include "cli/terminal.hpp"
#include "cli/yaml.hpp"

namespace provisioner::cli {
namespace {

TEST(Table, AlignsColumnsByCharactersAndTrailsNothing) {
  EXPECT_EQ(
      render_table({"NAME", "STATUS", "ERROR"},
                   {{{"café"}, {"deployed"}, {""}}, {{"shop"}, {"deploy_failed"}, {"no"}}}, false),
      "NAME  STATUS         ERROR\n"
      "café  deployed\n"
      "shop  deploy_failed  no\n");
}

TEST(RelativeTime, ReadsAsPeopleSayIt) {
  EXPECT_EQ(relative_time(-12), "12 s ago");
  EXPECT_EQ(relative_time(180), "in 3 min");
  EXPECT_EQ(relative_time(-3 * 86400), "3 d ago");
}

TEST(Yaml, QuotesWhatAReaderWouldMistake) {
  EXPECT_EQ(
      to_yaml(R"({"name":"shop","enabled":true,"mode":"no","next":{"at":"2026-01-01T00:00:00Z"},
                        "tags":["a","b c"],"runs":[{"id":"x","n":1},{"id":"y"}],"none":null,"e":{}})"),
      "name: shop\n"
      "enabled: true\n"
      "mode: \"no\"\n"
      "next:\n"
      "  at: \"2026-01-01T00:00:00Z\"\n"
      "tags:\n"
      "- a\n"
      "- \"b c\"\n"
      "runs:\n"
      "- id: x\n"
      "  \"n\": 1\n"
      "- id: \"y\"\n"
      "none: null\n"
      "e: {}\n");
}

}  // namespace
}  // namespace provisioner::cli
