// The files of the file-based version, as it wrote them.
#include "migration/old_installation.hpp"

#include <gtest/gtest.h>

#include "tests/support/temp_directory.hpp"

namespace provisioner::migration {
namespace {

using testing::write_file;

constexpr std::string_view kState =
    R"({"version": 4, "terraform_version": "1.6.0", "serial": 2, "lineage": "l", "outputs": {},
        "resources": [{"mode": "managed", "type": "a", "name": "b", "instances": [{}, {}]}]})";

class OldFiles : public ::testing::Test {
 protected:
  Result<OldInstallation> read() const { return read_old_installation(directory_.path()); }
  OldInstallation must_read() const {
    auto old = read();
    if (!old) throw std::runtime_error(old.error().message);
    return *old;
  }
  void write(const char* file, std::string_view text) const { write_file(directory_ / file, text); }

  testing::TempDirectory directory_;
};

TEST_F(OldFiles, AreReadWithAbsentTimesAndOffsets) {
  write("scheduler.json", R"({"workspaces": {
    "shop": {"name": "shop", "status": "deployed", "last_deployed": "2026-01-05T08:00:00+01:00",
             "deployment_mode": "busy", "last_destroyed": null,
             "last_config_modified": "0001-01-01T00:00:00Z"},
    "new": {"name": "new"}}, "last_updated": "2026-01-05T09:00:00Z"})");
  const OldInstallation old = must_read();
  const OldWorkspace& shop = old.workspaces.at("shop");
  EXPECT_EQ(shop.status, "deployed");
  EXPECT_EQ(shop.mode, "busy");
  EXPECT_EQ(shop.last_deployed, *parse_rfc3339("2026-01-05T07:00:00Z"));
  EXPECT_FALSE(shop.last_destroyed);
  EXPECT_FALSE(shop.last_config_modified);
  EXPECT_FALSE(shop.state);
  EXPECT_EQ(old.workspaces.at("new").status, "pending");
}

TEST_F(OldFiles, StatesAreFoundInDeploymentsAndWhereTheyOnceWere) {
  write("deployments/shop/terraform.tfstate", kState);
  write("deployments/shop/.terraform.lock.hcl", "locks");
  write("deployments/shop/prod.auto.tfvars", "a = 1\n");
  write("deployments/shop/old.tfvars.json", "{}");
  write("shop/terraform.tfstate", "older, and not looked at");
  write("older/terraform.tfstate", kState);
  write("broken/terraform.tfstate", "{");
  write("templates/web/terraform.tfstate", kState);
  write("notes/readme.txt", "no state");
  const OldInstallation old = must_read();
  ASSERT_EQ(old.workspaces.size(), 3u);
  const OldWorkspace& shop = old.workspaces.at("shop");
  EXPECT_EQ(shop.state->meta.resources, 2);
  EXPECT_EQ(shop.state->meta.lineage, "l");
  EXPECT_EQ(shop.state->body, kState);
  EXPECT_EQ(shop.lock_file, "locks");
  EXPECT_EQ(shop.variable_files.size(), 2u);
  EXPECT_EQ(old.workspaces.at("older").state->problem, "");
  EXPECT_NE(old.workspaces.at("broken").state->problem, "");
}

TEST_F(OldFiles, JobsAndTemplatesAreRead) {
  write("scheduler.json", "{}");
  write("jobs.json", R"({"jobs": {
    "shop:report": {"name": "report", "workspace_id": "shop", "status": "failed",
      "last_run": "2026-01-05T08:00:00Z", "last_failure": "2026-01-05T08:00:01Z",
      "last_error": "exit status 3", "last_exit_code": 3, "run_count": 7, "success_count": 5,
      "failure_count": 2},
    "_standalone_:tidy": {"run_count": 1}}})");
  write("templates/registry.json", R"({"templates": {"web": {"name": "web",
    "source_url": "https://example.org/t.git", "source_path": "web", "source_ref": "v1",
    "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z"}}})");
  write("templates/web/main.tf", "");
  const OldInstallation old = must_read();
  ASSERT_EQ(old.jobs.size(), 2u);
  EXPECT_EQ(old.jobs[0].workspace, "_standalone_");
  EXPECT_EQ(old.jobs[0].name, "tidy");
  EXPECT_FALSE(old.jobs[0].last_exit_code);
  EXPECT_EQ(old.jobs[1].last_exit_code, 3);
  EXPECT_EQ(old.jobs[1].failure_count, 2);
  ASSERT_EQ(old.templates.size(), 1u);
  EXPECT_EQ(old.templates[0].path, "web");
  EXPECT_EQ(old.templates[0].directory, directory_ / "templates/web");
}

TEST_F(OldFiles, HalfWrittenOnesAreRefusedByName) {
  for (const char* file : {"scheduler.json", "jobs.json", "templates/registry.json"}) {
    write("scheduler.json", "{}");
    write(file, R"({"workspaces": {"sh)");
    const auto old = read();
    ASSERT_FALSE(old) << file;
    EXPECT_EQ(old.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(old.error().message.find(file), std::string::npos) << old.error().message;
    std::filesystem::remove(directory_ / file);
  }
  write("scheduler.json", R"({"workspaces": {"shop": {"last_deployed": "yesterday"}}})");
  EXPECT_NE(read().error().message.find("shop: last_deployed"), std::string::npos)
      << read().error().message;
}

}  // namespace
}  // namespace provisioner::migration
