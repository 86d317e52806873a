#include "tofu/init_basis.hpp"

#include <gtest/gtest.h>

#include <string>

namespace provisioner::tofu {
namespace {

std::optional<std::string> basis(std::string_view text, std::string name = "main.tf") {
  const ContentFile file{std::move(name), text};
  return init_basis({&file, 1});
}

constexpr std::string_view kContent = R"(
# what is deployed
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.0" }
  }
}
provider "aws" { region = var.region }
variable "region" { default = "eu-1" }
locals { name = "terraform { backend" }
resource "aws_instance" "one" {
  provider = aws.west
  ami      = "first ${var.region}"
  tags = {
    provider = "me"
  }
  user_data = <<-END
    module "x" { source = "./x" }
  END
}
data "aws_ami" "latest" { owners = ["self"] }
output "id" { value = aws_instance.one.id }
)";

std::string edited(std::string_view from, std::string_view to) {
  std::string text(kContent);
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(InitBasis, StaysWhenOnlyArgumentsOutputsAndCommentsChange) {
  ASSERT_TRUE(basis(kContent));
  for (const auto& text :
       {edited("first ${var.region}", "second"), edited("# what is deployed", "// something else"),
        edited("\"eu-1\"", "\"eu-2\""), edited("aws_instance.one.id }", "1 }"),
        edited("provider = \"me\"", "provider = \"you\""), edited("./x", "./y"),
        edited("\"one\" {", "\"renamed\" {"), edited("[\"self\"]", "[]"),
        edited("locals {",
               "resource \"aws_instance\" \"two\" { provider = aws.west }\nlocals {")}) {
    EXPECT_EQ(basis(text), basis(kContent)) << text;
  }
}

TEST(InitBasis, ChangesWithWhateverNeedsAProvider) {
  for (const auto& text :
       {edited("~> 5.0", "~> 6.0"), edited("\"aws_instance\"", "\"google_instance\""),
        edited("data \"aws_ami\"", "data \"http\""), edited("provider = aws.west", "provider = b"),
        edited("  provider = aws.west\n", ""), edited("region = var.region", "region = \"x\""),
        edited("locals {", "provider \"google\" {}\nlocals {"),
        edited("locals {", "import {\n  to = google_a.b\n  id = \"1\"\n}\nlocals {"),
        edited("locals {", "ephemeral \"vault_secret\" \"s\" {}\nlocals {"),
        edited("terraform {", "terraform {\n  required_version = \">= 1.9\"")}) {
    ASSERT_TRUE(basis(text)) << text;
    EXPECT_NE(basis(text), basis(kContent)) << text;
  }
}

TEST(InitBasis, ChangesWhenASettingMovesToAnotherFile) {
  constexpr std::string_view kSettings = "terraform { required_version = \">= 1.5\" }";
  EXPECT_NE(basis(kSettings, "a.tf"), basis(kSettings, "b_override.tf"));
}

TEST(InitBasis, IsUnknownWhenInDoubt) {
  for (const auto* text : {
           "module \"x\" { source = \"./x\" }",
           "terraform {\n  backend \"s3\" {}\n}",
           "terraform {\n  cloud {}\n}",
           "terraform {\n  required_version = var.version\n}",
           "check \"site\" {\n  data \"http\" \"s\" {}\n}",
           "something \"new\" {}",
           "resource \"a\" {}",
           "resource \"${var.x}\" \"b\" {}",
           "name = 1",
           "}",
           "resource \"a\" \"b\" {",
           "resource \"a\" \"b\" { x = \"open }",
       }) {
    EXPECT_FALSE(basis(text)) << text;
  }
  EXPECT_FALSE(basis("{}", "main.tf.json"));
}

TEST(InitBasis, KnowsTheFilesThatAddToIt) {
  for (const auto* name : {"tests", "a.tftest.hcl", "b.tftest.json", "c.tofutest.hcl",
                           "d.tfquery.hcl", "e.tfmock.hcl"}) {
    EXPECT_TRUE(adds_to_init(name)) << name;
  }
  for (const auto* name :
       {"main.tf", "terraform.tfvars.json", ".terraform.lock.hcl", "README.md"}) {
    EXPECT_FALSE(adds_to_init(name)) << name;
  }
}

}  // namespace
}  // namespace provisioner::tofu
