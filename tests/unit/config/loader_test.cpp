#include "config/loader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/folders.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;
using provisioner::testing::TempDirectory;
using provisioner::testing::write_file;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Stands for the scanner: "module PATH" and "variable NAME", one a line.
Result<ContentFacts> scan(std::string_view path, std::string_view text) {
  ContentFacts facts;
  int line = 1;
  std::istringstream words{std::string(text)};
  std::string keyword, value;
  while (words >> keyword >> value) {
    if (keyword == "broken") return fail(ErrorKind::kInvalid, std::string(path) + ": is broken");
    if (keyword == "module") facts.modules.push_back({.line = line, .source = value});
    if (keyword == "variable") facts.variables.push_back(value);
    ++line;
  }
  return facts;
}

class LoaderTest : public ::testing::Test {
 protected:
  fs::path workspaces() const { return root_ / "workspaces"; }
  void write(const std::string& path, std::string_view text) {
    write_file(workspaces() / "shop" / path, text);
  }
  Result<LoadedWorkspace> load() {
    return load_workspace(workspaces(), WorkspaceName("shop"), scan);
  }
  std::string error() {
    const auto loaded = load();
    EXPECT_FALSE(loaded);
    return loaded ? "" : loaded.error().message;
  }

  TempDirectory root_;
};

TEST_F(LoaderTest, AFolderBecomesADefinition) {
  write("config.json", R"({"deploy_schedule": "0 7 * * *", "include": ["../../modules"]})");
  write("main.tf", "module ../../modules/vpc module hashicorp/consul/aws");
  write_file(root_ / "modules/vpc/main.tf", "module ../net");
  write_file(root_ / "modules/net/main.tf", "");
  write_file(root_ / "modules/vpc/examples/main.tf", "module ../../../elsewhere");  // unused
  const auto loaded = load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->definition.config,
            R"({"deploy_schedule":"0 7 * * *","include":["../../modules"]})");
  EXPECT_EQ(loaded->definition.bundle.value.size(), 64u);
  EXPECT_THAT(loaded->included, ElementsAre(fs::canonical(root_.path()) / "modules"));
  EXPECT_TRUE(list_bundle(loaded->bundle));
}

TEST_F(LoaderTest, AChangeOfTheScheduleAloneIsTheSameContent) {
  write("config.json", R"({"deploy_schedule": "0 7 * * *"})");
  write("main.tf", "");
  const auto before = load();
  write("config.json", R"({"deploy_schedule": "0 8 * * *", "description": "later"})");
  const auto after = load();
  ASSERT_TRUE(before && after);
  EXPECT_TRUE(before->definition.same_content(after->definition));
  EXPECT_NE(before->schedule_hash, after->schedule_hash);
  write("main.tf", "variable x");
  EXPECT_FALSE(before->definition.same_content(load()->definition));
}

TEST_F(LoaderTest, AModuleBeyondTheContentIsAnErrorWithFileAndLine) {
  write("config.json", "{}");
  write("sub/main.tf", "variable x module ../../../modules/vpc");
  write("main.tf", "module ./sub");
  EXPECT_EQ(
      error(),
      "workspaces/shop: sub/main.tf:2: the module source ../../../modules/vpc is not part of the "
      "content: put it into the folder, or name it in a workspace's include");
}

TEST_F(LoaderTest, WhatTheScannerCannotReadIsAnError) {
  write("config.json", "{}");
  write("main.tf", "broken here");
  EXPECT_EQ(error(), "workspaces/shop: main.tf: is broken");
}

TEST_F(LoaderTest, NothingToDeployIsAnError) {
  write("config.json", "{}");
  EXPECT_EQ(
      error(),
      "workspaces/shop: there is nothing to deploy: no tofu files (*.tf, *.tf.json, *.tofu), no "
      "template and no custom commands");
  write("config.json", R"({"template": "web"})");
  EXPECT_THAT(load()->warnings, ElementsAre(HasSubstr("template: the files of web are in the")));
  write("config.json", R"({"custom_deploy": {"apply_command": "make"}})");
  EXPECT_THAT(error(), HasSubstr("custom_destroy.destroy_command are needed"));
  write("config.json", R"({"custom_deploy": {"apply_command": "make"},
                           "custom_destroy": {"destroy_command": "make clean"}})");
  EXPECT_TRUE(load());
}

TEST_F(LoaderTest, ModesNeedTheirVariable) {
  write("config.json", R"({"mode_schedules": {"busy": "0 7 * * *"}})");
  write("main.tf", "variable size");
  EXPECT_THAT(error(), StartsWith("workspaces/shop: mode_schedules: the content has no variable"));
  write("main.tf", "variable deployment_mode");
  EXPECT_TRUE(load());
}

TEST_F(LoaderTest, ASecretFileMustNotBePartOfTheContent) {
  write("main.tf", "");
  write("key.pem", "secret");
  const auto config = [](const fs::path& file) {
    return R"({"variables": {"key": {"file": ")" + file.string() + R"("}}})";
  };
  write("config.json", config(workspaces() / "shop/key.pem"));
  EXPECT_THAT(error(), HasSubstr("workspaces/shop/config.json: variables.key: the secret file "));
  fs::create_symlink(workspaces() / "shop/key.pem", root_ / "link.pem");
  write("config.json", config(root_ / "link.pem"));
  EXPECT_THAT(error(), HasSubstr("lies inside the workspace's content"));
  write("config.json", config(root_ / "elsewhere.pem"));
  EXPECT_TRUE(load());
}

TEST_F(LoaderTest, MissingFoldersAndFilesAreToldApart) {
  EXPECT_EQ(load().error(), (Error{ErrorKind::kNotFound, "workspaces/shop: the folder is gone"}));
  write("main.tf", "");
  EXPECT_EQ(load().error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(error(), StartsWith("workspaces/shop/config.json is missing: create it"));
  write("config.json", std::string(2 * kMostConfigBytes, ' '));
  EXPECT_EQ(error(), "workspaces/shop/config.json has 2.0 MB, at most 1.0 MB are read");
}

TEST_F(LoaderTest, ABrokenWorkspaceDoesNotStopTheOthers) {
  write("config.json", "{");
  write_file(workspaces() / "blog/config.json", "{}");
  write_file(workspaces() / "blog/main.tf", "");
  EXPECT_FALSE(load());
  EXPECT_TRUE(load_workspace(workspaces(), WorkspaceName("blog"), scan));
}

TEST_F(LoaderTest, TheScanNamesFoldersToRename) {
  write_file(workspaces() / "shop/config.json", "{}");
  write_file(workspaces() / "my shop/config.json", "{}");
  write_file(workspaces() / "-x/config.json", "{}");
  write_file(workspaces() / ".hidden/config.json", "{}");
  write_file(workspaces() / "blog.json", "{}");
  write_file(workspaces() / "README.md", "");
  write_file(root_ / "elsewhere/config.json", "{}");
  fs::create_directory_symlink(root_ / "elsewhere", workspaces() / "linked");
  fs::create_directory_symlink(root_ / "nowhere", workspaces() / "dangling");
  const auto found = scan_workspaces(workspaces());
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_THAT(found->workspaces, ElementsAre(WorkspaceName("linked"), WorkspaceName("shop")));
  std::vector<std::string> problems;
  for (const auto& problem : found->problems) problems.push_back(problem.message);
  EXPECT_THAT(
      problems,
      ElementsAre(
          "workspaces/-x: workspace name \"-x\" starts with '-': rename it to start with a "
          "letter or digit, for example x",
          "workspaces/blog.json: is a file, and a workspace is a folder: move it to "
          "workspaces/blog/config.json",
          "workspaces/dangling: is a link to nothing: mend or remove it",
          "workspaces/my shop: workspace name \"my shop\" contains byte 0x20: rename it with "
          "letters, digits, '.', '_' and '-' only, for example my-shop"));
  EXPECT_EQ(scan_workspaces(root_ / "gone").error().kind, ErrorKind::kNotFound);
}

TEST_F(LoaderTest, SecretsOfJobsDoNotLieInTheContentEither) {
  write("main.tf", "");
  const auto secret = (workspaces() / "shop/key").string();
  write("key", "x");
  write("config.json",
        R"({"jobs": [{"name": "a", "command": "x", "environment": {"K": {"file": ")" + secret +
            R"("}}}]})");
  EXPECT_THAT(error(), HasSubstr("jobs[0].environment.K: the secret file "));
}

TEST_F(LoaderTest, AStandaloneJobHasNoContent) {
  const auto jobs = root_ / "jobs";
  write_file(jobs / "backup.json", R"({"command": "true", "schedule": "@daily"})");
  write_file(jobs / "report.json", R"({"command": "true", "schedule": "@daily"})");
  auto file = read_standalone_job(jobs, JobName("backup"));
  auto other = read_standalone_job(jobs, JobName("report"));
  ASSERT_TRUE(file && other) << file.error().message;
  const auto backup = load_standalone_job(*std::move(file));
  const auto report = load_standalone_job(*std::move(other));
  EXPECT_EQ(backup.spec.name, home_of(JobName("backup")));
  EXPECT_EQ(backup.definition.bundle, report.definition.bundle);
  const auto listing = list_bundle(backup.bundle);
  ASSERT_TRUE(listing);
  EXPECT_TRUE(listing->entries.empty());
  fs::create_directory(root_ / "unpacked");
  EXPECT_TRUE(unpack_bundle(backup.bundle, root_ / "unpacked"));
  const auto gone = read_standalone_job(jobs, JobName("gone"));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ErrorKind::kNotFound);
}

TEST_F(LoaderTest, TheFilesOfJobsAreStandaloneJobs) {
  const auto jobs = root_ / "jobs";
  write_file(jobs / "backup.json", "{}");
  write_file(jobs / "a b.json", "{}");
  write_file(jobs / "backup.json~", "");
  write_file(jobs / ".report.json.swp", "");
  write_file(jobs / "README.md", "");
  write_file(jobs / "nightly/config.json", "");
  const auto scan = scan_standalone_jobs(jobs);
  ASSERT_TRUE(scan) << scan.error().message;
  EXPECT_THAT(scan->workspaces, ElementsAre(home_of(JobName("backup"))));
  ASSERT_EQ(scan->problems.size(), 2u);
  EXPECT_EQ(scan->problems[0].message,
            "jobs/a b.json: job name \"a b\" contains byte 0x20: rename it with letters, digits, "
            "'.', '_' and '-' only");
  EXPECT_EQ(scan->problems[1].message,
            "jobs/nightly: is a folder, and a standalone job is a file: write it to "
            "jobs/nightly.json");
  EXPECT_EQ(scan_standalone_jobs(root_ / "missing").error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace provisioner
