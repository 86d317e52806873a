// Promise: a folder's own tofu files win over its template as a whole, its other files one by one.
#include "config/overlay.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/loader.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;
using provisioner::testing::TempDirectory;
using provisioner::testing::write_file;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Overlay : public ::testing::Test {
 protected:
  void in_template(const std::string& file, std::string_view text) {
    write_file(root_ / "template" / file, text);
  }
  void in_folder(const std::string& file, std::string_view text) {
    write_file(folder() / file, text);
  }
  fs::path folder() const { return root_.path() / "workspaces" / "shop"; }
  Bundle build(const fs::path& path, std::vector<std::string> include = {}) {
    auto bundle = build_bundle(path, include);
    if (!bundle) throw std::runtime_error(bundle.error().message);
    return *std::move(bundle);
  }
  Bundle over(std::vector<std::string> include = {}) {
    auto both = laid_over(build(folder(), include), build(root_ / "template").bytes);
    if (!both) throw std::runtime_error(both.error().message);
    return *std::move(both);
  }
  static std::vector<std::string> files(const Bundle& bundle) {
    std::vector<std::string> all;
    for (const auto& entry : bundle.entries) {
      all.push_back(entry.path + ": " +
                    (entry.link_target.empty() ? std::string(bundle.content(entry))
                                               : "-> " + entry.link_target));
    }
    return all;
  }

  TempDirectory root_;
};

TEST_F(Overlay, TheFoldersFilesWinOneByOne) {
  in_template("main.tf", "t");
  in_template("shop.auto.tfvars", "t");
  in_template("modules/net/main.tf", "t");
  in_folder("shop.auto.tfvars", "own");
  in_folder("override.tf", "own");
  EXPECT_THAT(files(over()), ElementsAre("main.tf: t", "modules/net/main.tf: t", "override.tf: own",
                                         "shop.auto.tfvars: own"));
}

TEST_F(Overlay, TheSameFilesMakeTheSameBundleAsOneFolder) {
  in_template("main.tf", "t");
  in_template("run.sh", "t");
  fs::permissions(root_ / "template" / "run.sh", fs::perms::owner_all);
  in_folder("x.tfvars", "own");
  const auto both = over();
  fs::copy(root_ / "template", folder(), fs::copy_options::recursive);
  EXPECT_EQ(both.hash, build(folder()).hash);
  EXPECT_TRUE(list_bundle(both.bytes));
}

TEST_F(Overlay, TheTemplateLiesInTheFolderBesideWhatThatIncludes) {
  in_template("main.tf", "t");
  write_file(root_ / "modules/net/main.tf", "m");
  in_folder("x.tfvars", "own");
  const auto both = over({"../../modules"});
  EXPECT_EQ(both.folder, "workspaces/shop");
  EXPECT_THAT(files(both), ElementsAre("modules/net/main.tf: m", "workspaces/shop/main.tf: t",
                                       "workspaces/shop/x.tfvars: own"));
}

TEST_F(Overlay, AFolderAndAFileOfOneNameDoNotMix) {
  in_template("a/main.tf", "t");
  in_template("b", "t");
  fs::create_symlink("a", root_ / "template" / "c");
  in_folder("a", "own");
  in_folder("b/x", "own");
  in_folder("c/y", "own");
  EXPECT_THAT(files(over()), ElementsAre("a: own", "b/x: own", "c/y: own"));
}

TEST_F(Overlay, AFolderWithTofuFilesOfItsOwnTakesNothing) {
  in_folder("config.json", R"({"template": "web"})");
  in_folder("x.tfvars", "own");
  in_folder("modules/main.tf", "");
  in_folder("web_override.tf.json", "{}");
  const auto wants = [&] {
    return read_workspace_folder(root_ / "workspaces", WorkspaceName("shop")).value();
  };
  EXPECT_EQ(wants().wanted_template, "web");
  EXPECT_THAT(wants().parsed.warnings, IsEmpty());
  in_folder("main.tofu", "");
  EXPECT_EQ(wants().wanted_template, "");
  EXPECT_THAT(wants().parsed.warnings, ElementsAre(HasSubstr("template: web is not used")));
}

TEST_F(Overlay, TheWholeIsCheckedAndKnowsItsParts) {
  in_template("main.tf", "t");
  in_folder("config.json", R"({"template": "web", "mode_schedules": {"busy": "0 8 * * *"}})");
  const auto base = build(root_ / "template");
  const TemplateContent content{base.hash, std::make_shared<const std::string>(base.bytes)};
  std::vector<std::string> variables;
  const ContentScan scan = [&](std::string_view, std::string_view) -> Result<ContentFacts> {
    return ContentFacts{.variables = variables};
  };
  const auto load = [&] {
    return load_workspace(
        read_workspace_folder(root_ / "workspaces", WorkspaceName("shop")).value(), scan, &content);
  };
  EXPECT_THAT(load().error().message, HasSubstr("the content has no variable to receive the mode"));
  variables = {"deployment_mode"};
  const auto loaded = load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->template_bundle, base.hash);
  EXPECT_EQ(loaded->own_bundle, build(folder()).hash);
  EXPECT_NE(loaded->definition.bundle, loaded->own_bundle);
}

}  // namespace
}  // namespace provisioner
