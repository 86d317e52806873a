#include "tofu/hcl_scanner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace provisioner::tofu {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Result<ContentFacts> scan(std::string_view text, std::string name = "main.tf") {
  const ContentFile file{std::move(name), text};
  return scan_content({&file, 1});
}

TEST(ContentScan, FindsWhatAWorkspaceDeclares) {
  const auto facts = scan(R"(
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws    = { source = "hashicorp/aws" }
    random = {
      source = "hashicorp/random"
    }
  }
  backend "s3" {
    bucket = "b"
  }
}
variable "deployment_mode" { type = string }
variable size {
  default = { a = [1, 2], "b" = "}" }
}
module "net" {
  source  = "../modules/net"
  version = "1"
}
module "far" {
  source = "git::https://example.com/x.git//sub?ref=v1" # a comment
}
)");
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_EQ(facts->backend, "s3");
  EXPECT_FALSE(facts->cloud);
  EXPECT_TRUE(facts->keeps_own_state());
  EXPECT_THAT(facts->variables, ElementsAre("deployment_mode", "size"));
  EXPECT_THAT(facts->required_providers, ElementsAre("aws", "random"));
  EXPECT_THAT(
      facts->modules,
      ElementsAre(ModuleSource{"main.tf", 19, "../modules/net"},
                  ModuleSource{"main.tf", 23, "git::https://example.com/x.git//sub?ref=v1"}));
  EXPECT_TRUE(facts->modules[0].is_local());
  EXPECT_FALSE(facts->modules[1].is_local());
}

struct NoBackend {
  const char* what;
  std::string_view text;
};

TEST(ContentScan, ABackendThatIsNotOneIsNotSeen) {
  const NoBackend cases[] = {
      {"in a # comment", "# terraform { backend \"s3\" {} }\n"},
      {"in a // comment", "// terraform {\n"},
      {"in a block comment", "/* terraform {\n backend \"s3\" {}\n} */\n"},
      {"in a string", "locals {\n  a = \"terraform { backend \\\"s3\\\" {} }\"\n}\n"},
      {"in a heredoc", "locals {\n  a = <<EOT\nterraform {\n backend \"s3\" {}\n}\nEOT\n}\n"},
      {"in an indented heredoc", "locals {\n  a = <<-EOT\n  terraform { cloud {} }\n  EOT\n}\n"},
      {"in a heredoc with an apostrophe and a quote",
       "locals {\n  a = <<EOT\nit's \" ${x}\nEOT\n}\n"},
      {"in a template", "locals {\n  a = \"${jsonencode({ terraform = \"backend\" })}\"\n}\n"},
      {"in a template that nests", "locals {\n  a = \"${f(\"${g(\"}\")}\")} terraform {\"\n}\n"},
      {"below another block", "module \"x\" {\n  terraform {\n    backend \"s3\" {}\n  }\n}\n"},
      {"as an attribute", "terraform {\n  backend = \"s3\"\n}\n"},
      {"in a nested block", "terraform {\n  other {\n    backend \"s3\" {}\n  }\n}\n"},
  };
  for (const NoBackend& example : cases) {
    const auto facts = scan(example.text);
    ASSERT_TRUE(facts) << example.what << ": " << facts.error().message;
    EXPECT_FALSE(facts->keeps_own_state()) << example.what;
  }
}

TEST(ContentScan, ABackendIsSeenHoweverItIsWritten) {
  for (const std::string_view text : {
           "terraform {\n  backend \"s3\" {}\n}\n",
           "terraform {\n  backend s3 {\n  }\n}",
           "\xEF\xBB\xBFterraform {\r\n  backend \"s3\" {\r\n  }\r\n}\r\n",
           "terraform { /* x */ backend /* y */ \"s3\" {} }",
           "locals {\n a = \"$${not a template\"\n}\nterraform {\n backend \"s3\" {}\n}\n",
           "locals {\n a = \"${x ? \"}\" : \"{\"}\"\n}\nterraform {\n backend \"s3\" {}\n}\n",
           "locals {\n a = [for x in y : x if x << 2]\n}\nterraform {\n backend \"s3\" {}\n}\n",
           "locals {\n a = (1 +\n 2)\n b = f(<<EOT\n}\nEOT\n)\n}\nterraform {\n backend \"s3\" "
           "{}\n}\n",
       }) {
    const auto facts = scan(text);
    ASSERT_TRUE(facts) << text << ": " << facts.error().message;
    EXPECT_EQ(facts->backend, "s3") << text;
  }
  EXPECT_TRUE(scan("terraform {\n  cloud {\n    organization = \"o\"\n  }\n}\n")->cloud);
}

TEST(ContentScan, ASourceThatIsNoPlainTextIsNoSource) {
  EXPECT_THAT(scan("module \"a\" {\n  source = \"./${x}\"\n}\n")->modules, IsEmpty());
  EXPECT_THAT(scan("module \"a\" {\n  source = var.x\n}\n")->modules, IsEmpty());
  EXPECT_THAT(scan("resource \"a\" \"b\" {\n  source = \"./x\"\n}\n")->modules, IsEmpty());
}

struct Broken {
  std::string_view text;
  const char* message;
};

TEST(ContentScan, WhatNeverEndsIsNamedWithFileAndLine) {
  const Broken cases[] = {
      {"\nlocals {\n a = 1\n", "main.tf:2: a block that begins here never ends"},
      {"locals {\n a = \"x\n}\n", "main.tf:2: a string never ends on its line"},
      {"locals {\n a = <<EOT\n}\n", "main.tf:2: the heredoc <<EOT never ends"},
      {"/* x\n", "main.tf:1: a comment that begins with /* never ends"},
      {"locals {\n a = [1,\n}\n", "main.tf:2: a ] is missing"},
  };
  for (const Broken& example : cases) {
    const auto facts = scan(example.text);
    ASSERT_FALSE(facts) << example.text;
    EXPECT_EQ(facts.error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(facts.error().message, example.message);
  }
  EXPECT_FALSE(scan("a = " + std::string(100'000, '[')));
}

TEST(ContentScan, JsonSaysTheSame) {
  const auto facts = scan(R"({
    "//": "a comment",
    "terraform": [{"backend": {"//": "x", "gcs": {}}, "required_providers": {"g": {}}}],
    "variable": {"deployment_mode": {"type": "string"}},
    "module": {"m": [{"source": "./m"}]}
  })",
                          "main.tf.json");
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_EQ(facts->backend, "gcs");
  EXPECT_THAT(facts->variables, ElementsAre("deployment_mode"));
  EXPECT_THAT(facts->required_providers, ElementsAre("g"));
  EXPECT_THAT(facts->modules, ElementsAre(ModuleSource{"main.tf.json", 0, "./m"}));
  EXPECT_EQ(scan("{", "x.tf.json").error().message, "x.tf.json: not valid JSON");
  EXPECT_TRUE(scan("[1, null, {\"terraform\": 3}]", "x.tf.json"));
}

TEST(ContentScan, OtherFilesAreNotContent) {
  EXPECT_TRUE(is_content_file("a.tf"));
  EXPECT_TRUE(is_content_file("a.tofu"));
  EXPECT_TRUE(is_content_file("a.tofu.json"));
  EXPECT_FALSE(is_content_file("a.tfvars"));
  EXPECT_FALSE(is_content_file("config.json"));
  EXPECT_THAT(scan("variable \"x\" {}", "notes.txt")->variables, IsEmpty());
}

}  // namespace
}  // namespace provisioner::tofu
