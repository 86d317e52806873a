#include "templates/repository_tree.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace provisioner {
namespace {

using ::testing::HasSubstr;

std::vector<TreeEntry> tree() {
  return {{.mode = "040000", .id = "t1", .path = "web"},
          {.mode = "100644", .id = "b1", .size = 10, .path = "web/main.tf"},
          {.mode = "100755", .id = "b2", .size = 10, .path = "web/up.sh"},
          {.mode = "040000", .id = "t2", .path = "docs"},
          {.mode = "100644", .id = "b3", .size = 10, .path = "docs/a.md"},
          {.mode = "040000", .id = "t3", .path = "big"},
          {.mode = "100644", .id = "b4", .size = 65 << 20, .path = "big/main.tf"},
          {.mode = "040000", .id = "t4", .path = "sub"},
          {.mode = "100644", .id = "b5", .size = 1, .path = "sub/main.tf"},
          {.mode = "160000", .id = "c1", .path = "sub/vendor"},
          {.mode = "120000", .id = "l1", .size = 3, .path = "link"},
          {.mode = "100644", .id = "b6", .size = 3, .path = ".gitmodules"}};
}

std::string refusal(const std::string& path) {
  const auto checked = check_tree(tree(), path);
  return checked ? "" : checked.error().message;
}

TEST(RepositoryTree, ReadsWhatGitPrints) {
  using namespace std::string_literals;
  const std::string printed = "040000 tree 1111 -\tweb\0"s +
                              "100644 blob 2222      17\tweb/a file.tf\0"s +
                              "160000 commit 3333       -\tvendor\0"s;
  const auto entries = parse_tree(printed);
  ASSERT_TRUE(entries) << entries.error().message;
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_TRUE(entries->at(0).is_folder());
  EXPECT_EQ(entries->at(1).path, "web/a file.tf");
  EXPECT_EQ(entries->at(1).size, 17u);
  EXPECT_TRUE(entries->at(2).is_submodule());
  EXPECT_FALSE(parse_tree("rubbish"));
}

TEST(RepositoryTree, AFolderWithTofuFilesIsGoodWhateverStandsBesideIt) {
  EXPECT_EQ(refusal("web"), "");
  EXPECT_EQ(folder_id(tree(), "web"), "t1");
}

TEST(RepositoryTree, WhatCannotBeATemplateIsRefusedWithItsReason) {
  EXPECT_THAT(refusal("wob"), HasSubstr("no folder wob; they are in big, sub, web"));
  EXPECT_THAT(refusal("web/main.tf"), HasSubstr("is a file, not a folder"));
  EXPECT_THAT(refusal("link"), HasSubstr("is a link, not a folder"));
  EXPECT_THAT(refusal("docs"), HasSubstr("docs has no tofu files"));
  EXPECT_THAT(refusal("big"), HasSubstr("larger than 64 MB"));
  EXPECT_THAT(refusal("sub"), HasSubstr("sub/vendor is a submodule"));
  EXPECT_THAT(refusal("sub/vendor"), HasSubstr("is a submodule"));
  EXPECT_THAT(refusal("sub/vendor/x"), HasSubstr("is in a submodule"));
  EXPECT_THAT(refusal(""), HasSubstr("submodule"));
}

}  // namespace
}  // namespace provisioner
