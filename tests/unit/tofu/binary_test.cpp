#include "tofu/binary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_directory.hpp"
#include "tests/unit/tofu/sample.hpp"

namespace provisioner::tofu {
namespace {

namespace fs = std::filesystem;
using provisioner::testing::sample;
using provisioner::testing::TempDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

fs::path script(const fs::path& path, std::string_view body) {
  std::ofstream(path) << "#!/bin/sh\n" << body;
  fs::permissions(path, fs::perms::owner_all);
  return path;
}

TEST(BinarySearch, PrefersWhatIsConfiguredThenTofuThenTerraform) {
  const TempDirectory directory;
  const fs::path one = directory.path() / "one", two = directory.path() / "two";
  fs::create_directories(one);
  fs::create_directories(two);
  const std::string path = one.string() + ":" + two.string();

  EXPECT_EQ(find_binary("", path).found.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(find_binary("", path).found.error().message, HasSubstr("make deps"));

  const fs::path terraform = script(one / "terraform", "");
  EXPECT_EQ(*find_binary("", path).found, (Binary{terraform, Product::kTerraform, ""}));
  EXPECT_THAT(find_binary("", path).steps,
              ElementsAre("tofu.binary: not set", "tofu on PATH: not found in " + path,
                          "terraform on PATH: " + terraform.string()));

  const fs::path tofu = script(two / "tofu", "");
  EXPECT_EQ(*find_binary("", path).found, (Binary{tofu, Product::kOpenTofu, ""}));
  EXPECT_EQ(find_binary(terraform.string(), path).found->path, terraform);
}

TEST(BinarySearch, AConfiguredBinaryThatIsNoneIsNeverReplacedByAnother) {
  const TempDirectory directory;
  script(directory.path() / "tofu", "");
  const fs::path plain = directory.path() / "plain";
  std::ofstream(plain) << "text";
  for (const fs::path& wrong : {plain, directory.path(), directory.path() / "absent"}) {
    const BinarySearch search = find_binary(wrong.string(), directory.path().string());
    ASSERT_FALSE(search.found) << wrong;
    EXPECT_THAT(search.found.error().message, HasSubstr(wrong.string()));
  }
}

TEST(BinaryVersion, IsReadFromWhatSurroundsIt) {
  EXPECT_EQ(*parse_version_json(sample("version.txt")), "1.11.4");
  for (const char* wrong : {"", "{", "no json", "{}", "{\"terraform_version\":1}", "}{"}) {
    EXPECT_FALSE(parse_version_json(wrong)) << wrong;
  }
}

TEST(BinaryVersion, IsAskedOfTheBinaryItself) {
  const TempDirectory directory;
  const fs::path path = script(directory.path() / "tofu",
                               "echo noise >&2\n[ \"$*\" = 'version -json' ] &&\n"
                               "echo '{\"terraform_version\": \"1.9.1\"}'\n");
  const auto binary = ask_version({path, Product::kOpenTofu, ""}, std::chrono::seconds(30));
  ASSERT_TRUE(binary) << binary.error().message;
  EXPECT_EQ(binary->describe(), "OpenTofu 1.9.1 (" + path.string() + ")");
}

TEST(BinaryVersion, ABinaryThatHangsIsATimeoutAndOneThatTalksNonsenseAnError) {
  const TempDirectory directory;
  const fs::path hanging = script(directory.path() / "hanging", "exec sleep 600\n");
  EXPECT_EQ(ask_version({hanging}, std::chrono::milliseconds(50)).error().kind,
            ErrorKind::kTimeout);
  const fs::path endless = script(directory.path() / "endless", "exec yes\n");
  EXPECT_EQ(ask_version({endless}, std::chrono::seconds(30)).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(ask_version({directory.path() / "absent"}, std::chrono::seconds(1)).error().kind,
            ErrorKind::kNotFound);
}

}  // namespace
}  // namespace provisioner::tofu
