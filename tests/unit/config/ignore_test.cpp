#include "config/ignore.hpp"

#include <gtest/gtest.h>

namespace provisioner {
namespace {

TEST(IgnorePatterns, ReadWhatPeopleWriteInGitignore) {
  const struct {
    const char* patterns;
    const char* path;
    bool ignored;
  } cases[] = {
      {"*.zip", "a.zip", true},
      {"*.zip", "deep/down/a.zip", true},
      {"*.zip", "a.zip.txt", false},
      {"/a.zip", "a.zip", true},
      {"/a.zip", "sub/a.zip", false},
      {"sub/a.zip", "sub/a.zip", true},
      {"sub/a.zip", "x/sub/a.zip", false},
      {"sub/*", "sub/x", true},
      {"sub/*", "sub/x/y", false},
      {"sub/**", "sub/x/y", true},
      {"**/cache", "cache", true},
      {"**/cache", "a/b/cache", true},
      {"a/**/z", "a/z", true},
      {"a/**/z", "a/b/c/z", true},
      {"data?", "data1", true},
      {"data?", "data12", false},
      {"build/", "build", false},  // a file of that name stays
      {"# *.zip", "a.zip", false},
      {"*.zip\n!keep.zip", "keep.zip", false},
      {"!keep.zip\n*.zip", "keep.zip", true},
      {"  *.log  \r\n", "x.log", true},
      {"\\#x", "#x", true},
      {"/", "x", false},
      {"", "x", false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(IgnorePatterns(c.patterns).ignores(c.path, false), c.ignored)
        << c.patterns << " on " << c.path;
  }
  EXPECT_TRUE(IgnorePatterns("build/").ignores("build", true));
}

TEST(NeverContent, KnowsEditorsAndTofuLeftovers) {
  for (const char* name : {"terraform.tfstate", "a.tfstate.backup", "x.tfplan", "main.tf~",
                           "#main.tf#", ".#main.tf", ".main.tf.swp", "4913", "x.tmp", ".git"}) {
    EXPECT_TRUE(is_never_content(name, false)) << name;
  }
  for (const char* name : {"main.tf", "tfplan", "plan.sh", ".swp", "swp", "a#b", ".gitignore"}) {
    EXPECT_FALSE(is_never_content(name, false)) << name;
  }
  EXPECT_TRUE(is_never_content(".terraform", true));
  EXPECT_FALSE(is_never_content("x.tmp", true));
}

}  // namespace
}  // namespace provisioner
