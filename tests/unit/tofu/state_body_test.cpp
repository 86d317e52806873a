#include "tofu/state_body.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tofu/sample.hpp"

namespace provisioner::tofu {
namespace {

using provisioner::testing::sample;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(StateBody, TellsLineageSerialAndResources) {
  const auto meta = parse_state(sample("state.json"));
  ASSERT_TRUE(meta) << meta.error().message;
  EXPECT_EQ(meta->lineage, "7fbe98fc-4eb5-a31f-833f-d6febde64c83");
  EXPECT_EQ(meta->serial, 4);
  EXPECT_EQ(meta->resources, 3);
  EXPECT_EQ(meta->sha256.size(), 64u);
  EXPECT_EQ(parse_state(sample("state_after_destroy.json"))->resources, 0);
}

TEST(StateBody, TheHashIsOfTheBytes) {
  const std::string body = R"({"version":4,"lineage":"l","serial":1,"resources":[]})";
  // printf '%s' "$body" | sha256sum
  EXPECT_EQ(parse_state(body)->sha256,
            "de5073781804511ee964d6e1ad9ce15ad4b41eadc6889ce2554d668b668f3ae1");
  EXPECT_NE(parse_state(body + " ")->sha256, parse_state(body)->sha256);
}

struct NoState {
  std::string body;
  const char* why;
};

TEST(StateBody, WhatIsNoStateIsRefusedWithTheReason) {
  const NoState cases[] = {
      {"", "it is empty"},
      {"hello", "it is no JSON"},
      {"[]", "it is no JSON object"},
      {"{}", "it has no \"version\""},
      {R"({"version":3})", "its version is 3, and only 4 is known"},
      {R"({"version":4})", "it has no \"lineage\""},
      {R"({"version":4,"lineage":"l"})", "it has no usable \"serial\""},
      {R"({"version":4,"lineage":"l","serial":-1})", "it has no usable \"serial\""},
      {R"({"version":4,"lineage":"l","serial":9223372036854775808})",
       "it has no usable \"serial\""},
      {R"({"version":4,"lineage":"l","serial":1})", "it has no \"resources\""},
      {std::string(100'000, '['), "it nests too deep"},
  };
  for (const NoState& example : cases) {
    const auto meta = parse_state(example.body);
    ASSERT_FALSE(meta) << example.body.substr(0, 80);
    EXPECT_EQ(meta.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(meta.error().message, HasSubstr(example.why));
  }
}

TEST(StateBody, ASecretIsHiddenWhereItIsMarkedAndWhereItIsRepeated) {
  // `output` of the resource repeats `input`, but only `input` is marked sensitive.
  const auto text = masked_state_text(sample("state.json"));
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_THAT(*text, Not(HasSubstr("hunter2")));
  EXPECT_THAT(*text, HasSubstr("\"input\": \"(sensitive)\""));
  EXPECT_THAT(*text, HasSubstr("\"value\": \"(sensitive)\""));
  EXPECT_THAT(*text, HasSubstr("899ec4fd-a288-d3a8-1f1b-0a0cba44f739")) << "the rest stays";
  EXPECT_THAT(*text, HasSubstr("\"type\": \"string\""));
}

TEST(StateBody, AMarkedElementOfASetHidesTheSet) {
  const auto text = masked_state_text(
      R"({"version":4,"lineage":"l","serial":1,"resources":[{"mode":"managed","type":"t","name":"n",
      "instances":[{"private":"cHJpdmF0ZQ==","attributes":{"a":["secret-one","secret-two"],"b":1},
      "sensitive_attributes":[[{"type":"get_attr","value":"a"},{"type":"index","value":{"value":
      "x","type":"string"}}]]}]}]})");
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_THAT(*text, Not(HasSubstr("secret-")));
  EXPECT_THAT(*text, Not(HasSubstr("cHJpdmF0ZQ")));
}

TEST(StateBody, ADiffNamesWhatCameWentAndChanged) {
  const std::string before = sample("state.json");
  EXPECT_THAT(*state_diff(before, before), IsEmpty());
  EXPECT_THAT(*state_diff("", before),
              ElementsAre("+ output mode", "+ output secret", "+ terraform_data.key",
                          "+ terraform_data.repl", "+ terraform_data.web"));
  EXPECT_THAT(*state_diff(before, sample("state_after_destroy.json")),
              Contains("- terraform_data.web"));

  std::string after = before;
  const auto replace = [&after](std::string_view from, std::string_view to) {
    const auto at = after.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    after.replace(at, from.size(), to);
  };
  replace("hunter2", "hunter3");
  replace("899ec4fd", "00000000");
  const auto lines = state_diff(before, after);
  ASSERT_TRUE(lines) << lines.error().message;
  EXPECT_THAT(*lines, Contains("~ terraform_data.key: input: \"(sensitive)\" changed"));
  EXPECT_THAT(*lines,
              Contains("~ terraform_data.web: id: \"899ec4fd-a288-d3a8-1f1b-0a0cba44f739\" -> "
                       "\"00000000-a288-d3a8-1f1b-0a0cba44f739\""));
  for (const std::string& line : *lines) EXPECT_THAT(line, Not(HasSubstr("hunter")));
}

TEST(StateBody, AnotherSerialLeavesEveryOtherByte) {
  const std::string body =
      R"({"version":4,"outputs":{"serial":{"value":7}},"serial" : 12,"lineage":"l",)"
      R"("resources":[],"n":123456789012345678901234567890})";
  const auto changed = with_serial(body, 100);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(*changed,
            R"({"version":4,"outputs":{"serial":{"value":7}},"serial" : 100,"lineage":"l",)"
            R"("resources":[],"n":123456789012345678901234567890})");
  EXPECT_FALSE(with_serial("{}", 1));
  EXPECT_FALSE(
      with_serial(R"({"version":4,"serial":1,"lineage":"l","resources":[],"serial":2})", 3));
}

TEST(StateBody, AnErroredStateWithoutLineageGetsOneThatStaysTheSame) {
  const std::string errored =
      R"({"version":4,"serial":0,"lineage": "","outputs":{"lineage":{"value":""}},"resources":[]})";
  EXPECT_FALSE(parse_state(errored)) << "as it stands it would be thrown away";
  const auto completed = completed_state(errored);
  ASSERT_TRUE(completed) << completed.error().message;
  EXPECT_EQ(parse_state(*completed)->lineage.size(), 36u);
  EXPECT_THAT(*completed, HasSubstr(R"("outputs":{"lineage":{"value":""}})"));
  EXPECT_EQ(completed_state(errored), completed);
  EXPECT_EQ(completed_state(*completed), completed);
  EXPECT_EQ(*completed_state(sample("state.json")), sample("state.json"));
  EXPECT_FALSE(completed_state(R"({"lineage":""})"));
  EXPECT_FALSE(completed_state(""));
}

}  // namespace
}  // namespace provisioner::tofu
