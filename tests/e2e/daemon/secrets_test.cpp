// A secret of config.json appears nowhere but in tofu's state where a resource stores it, and in
// the plan and variable files of a live attempt (0600).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "tests/support/ask.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// Each place where a secret can be named has one of its own, so that a finding says which.
const std::vector<std::string> kSecrets = {"env-variable-5f21c0de",    "file-variable-7a90beef",
                                           "env-environment-c4d1a2b3", "file-environment-9e8d7c6b",
                                           "env-job-1b2c3d4e",         "file-job-8f7e6d5c"};

// Nothing of it stores a secret; all of it could say one.
constexpr std::string_view kUses = R"(variable "from_env" { type = string }
variable "from_file" { type = string }
variable "fail" {
  type    = bool
  default = false
}
resource "terraform_data" "uses" {
  provisioner "local-exec" {
    command     = "echo $ONE $TWO $APP_ENV $APP_FILE; sleep 1; test -z \"$FAIL\" || { echo \"refused $ONE $APP_FILE\" >&2; exit 7; }"
    environment = { ONE = var.from_env, TWO = var.from_file, FAIL = var.fail ? "yes" : "" }
  }
  provisioner "local-exec" {
    when    = destroy
    command = "echo goodbye $APP_ENV $APP_FILE"
  }
}
)";

constexpr std::string_view kPrecondition = R"(resource "terraform_data" "checked" {
  lifecycle {
    precondition {
      condition     = length(var.from_env) == 3
      error_message = "the token ${var.from_env} of ${var.from_file} is wrong"
    }
  }
}
)";

bool is_secret_in(std::string_view text) {
  return std::ranges::any_of(
      kSecrets, [&](const auto& secret) { return text.find(secret) != std::string_view::npos; });
}

std::string finding(std::string_view where, std::string_view text) {
  for (const auto& secret : kSecrets) {
    if (const auto at = text.find(secret); at != std::string_view::npos) {
      const auto from = at < 80 ? 0 : at - 80;
      return fmt::format("{}: ...{}...", where, text.substr(from, 160));
    }
  }
  return "";
}

// Looks at the command lines of the whole machine and at the files of the installation while runs
// are alive.
class Watcher {
 public:
  explicit Watcher(fs::path root) : root_(std::move(root)), thread_([this] { watch(); }) {}
  ~Watcher() { stop(); }

  void stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::set<std::string> command_lines() const { return command_lines_; }  // after stop()
  std::set<std::string> files() const { return files_; }  // by name and mode: "plan.tfplan 600"

 private:
  void watch() {
    while (!stopped_) {
      look_at_processes();
      look_at_files();
      std::this_thread::sleep_for(20ms);
    }
  }
  void look_at_processes() {
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator("/proc", gone)) {
      const std::string text = read_file(entry.path() / "cmdline");
      if (is_secret_in(text)) command_lines_.insert(text);
    }
  }
  void look_at_files() {
    std::error_code gone;
    fs::recursive_directory_iterator it(root_ / "state", gone);
    for (; !gone && it != fs::recursive_directory_iterator(); it.increment(gone)) {
      std::error_code vanished;
      if (!it->is_regular_file(vanished) || it->is_symlink(vanished)) continue;
      if (it->file_size(vanished) > (8U << 20) || vanished) continue;  // tofu's providers
      struct stat seen{};
      if (!is_secret_in(read_file(it->path())) || ::stat(it->path().c_str(), &seen) != 0) continue;
      files_.insert(fmt::format("{} {:o}", it->path().filename().string(), seen.st_mode & 0777));
    }
  }

  fs::path root_;
  std::set<std::string> command_lines_, files_;
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

class Secrets : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(installation_.root() / "secrets" / "one", kSecrets[1] + "\n");
    write_file(installation_.root() / "secrets" / "two", kSecrets[3]);
    write_file(installation_.root() / "secrets" / "three", kSecrets[5] + "\n");
    installation_.environment["JOB_C"] = kSecrets[4];
    fs::create_directories(installation_.root() / "tmp");
    installation_.environment["VAULT_A"] = kSecrets[0];
    installation_.environment["THE_B"] = kSecrets[2];
    installation_.environment["TMPDIR"] = installation_.root() / "tmp";
    installation_.add_workspace("vault", config(), kUses);
    installation_.start();
    ASSERT_TRUE(eventually(60s, [&] {
      return installation_.command({"workspace", "show", "vault"}).code == 0;
    })) << installation_.log();
  }

  Json config() const {
    return {{"variables",
             {{"from_env", {{"env", "VAULT_A"}}},
              {"from_file", {{"file", (installation_.root() / "secrets" / "one").string()}}}}},
            {"environment",
             {{"APP_ENV", {{"env", "THE_B"}}},
              {"APP_FILE", {{"file", (installation_.root() / "secrets" / "two").string()}}}}},
            {"on_change", "ignore"},
            {"retry", {{"max_retries", 0}}}};
  }

  Finished run(const std::vector<std::string>& words) { return keep(installation_.command(words)); }
  // What a command printed is looked at, too.
  Finished keep(Finished finished) {
    printed_ += finished.out + finished.err;
    return finished;
  }
  void change(std::string_view tf) {
    const Json before = installation_.workspace("vault")["bundle"];
    installation_.write("vault", "main.tf", tf);
    ASSERT_TRUE(
        eventually(60s, [&] { return installation_.workspace("vault")["bundle"] != before; }));
  }

  // The runs of jobs, once `count` of them have ended.
  std::vector<Json> job_runs(std::size_t count) const {
    std::vector<Json> ended;
    eventually(90s, [&] {
      ended.clear();
      for (const auto& each : installation_.query({"run", "list", "--limit", "100"})["items"]) {
        if (each["job"].is_string() && each["finished_at"].is_string()) ended.push_back(each);
      }
      return ended.size() >= count;
    });
    return ended;
  }

  // All that is on the disk but the secrets' own files.
  std::vector<std::string> on_disk() const {
    std::vector<std::string> found;
    for (auto it = fs::recursive_directory_iterator(installation_.root());
         it != fs::recursive_directory_iterator(); ++it) {
      if (it->path().filename() == "secrets" || it->path().filename() == ".terraform") {
        it.disable_recursion_pending();
      }
      if (!it->is_regular_file() || it->is_symlink()) continue;
      const std::string what = finding(it->path().string(), read_file(it->path()));
      if (!what.empty()) found.push_back(what);
    }
    return found;
  }
  // All that the API says of the workspace.
  std::vector<std::string> in_answers() const {
    std::vector<std::string> paths = {"/workspaces",
                                      "/workspaces/vault",
                                      "/workspaces/vault/definition",
                                      "/workspaces/vault/bundle",
                                      "/workspaces/vault/changes",
                                      "/workspaces/vault/outputs",
                                      "/runs",
                                      "/occurrences",
                                      "/states/vault",
                                      "/states/vault/1",
                                      "/states/vault/diff",
                                      "/cluster",
                                      "/cluster/events"};
    for (const auto& run : installation_.query({"run", "list", "--limit", "100"})["items"]) {
      paths.push_back("/runs/" + run["id"].get<std::string>());
      paths.push_back("/runs/" + run["id"].get<std::string>() + "/log");
    }
    std::vector<std::string> found;
    for (const auto& path : paths) {
      const auto answer = ask(installation_.state_dir(), "GET", "/api/v1" + path);
      EXPECT_NE(answer.status, 0) << path << answer.body;
      const std::string what = finding(path, answer.body);
      if (!what.empty()) found.push_back(what);
    }
    return found;
  }
  void expect_nowhere() {
    EXPECT_EQ(on_disk(), std::vector<std::string>());
    EXPECT_EQ(in_answers(), std::vector<std::string>());
    EXPECT_EQ(finding("what was printed", printed_), "");
  }

  Installation installation_;
  std::string printed_;
};

TEST_F(Secrets, AppearNowhereAfterRunsThatUseThemAndFailWithThem) {
  Watcher watcher(installation_.root());
  ASSERT_EQ(run({"workspace", "plan", "vault"}).code, 0) << installation_.log();
  const auto deployed = run({"workspace", "deploy", "vault"});
  ASSERT_EQ(deployed.code, 0) << deployed.err;
  EXPECT_NE(deployed.out.find("*** *** *** ***"), std::string::npos) << deployed.out;
  EXPECT_EQ(run({"workspace", "destroy", "vault", "--yes"}).code, 0);

  // It fails while it applies, and while it plans, with the secrets in tofu's own error texts.
  std::string failing(kUses);
  failing.replace(failing.find("default = false"), 15, "default = true ");
  change(failing);
  const auto failed = run({"workspace", "deploy", "vault"});
  EXPECT_EQ(failed.code, 1);
  EXPECT_NE((failed.out + failed.err).find("refused ***"), std::string::npos) << failed.out;
  change(std::string(kUses) + std::string(kPrecondition));
  const auto refused = run({"workspace", "deploy", "vault"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE((refused.out + refused.err).find("the token ***"), std::string::npos) << refused.out;
  EXPECT_NE(installation_.workspace("vault")["last_error"], nullptr);
  watcher.stop();

  expect_nowhere();
  EXPECT_EQ(watcher.command_lines(), std::set<std::string>());
  // The plan is compressed: a grep does not see into it.
  EXPECT_EQ(watcher.files(), std::set<std::string>{"variables.tfvars.json 600"});
  installation_.stop_daemon();
  EXPECT_EQ(on_disk(), std::vector<std::string>());
}

TEST_F(Secrets, OfAJobAppearNowhereAfterItUsedThemAndFailedWithThem) {
  const Json secrets = {
      {"JOB_ENV", {{"env", "JOB_C"}}},
      {"JOB_FILE", {{"file", (installation_.root() / "secrets/three").string()}}}};
  const std::string seen = (installation_.root() / "lengths").string();
  const auto job = [&](const std::string& name, const char* body, const std::string& text,
                       const std::string& schedule) {
    return Json{{"name", name}, {body, text}, {"schedule", schedule}, {"environment", secrets}};
  };
  const std::string says = "echo ${#JOB_ENV} ${#JOB_FILE} >> " + seen +
                           "; echo \"with $JOB_ENV and $JOB_FILE\"; sleep 1";
  Json changed = config();
  changed["jobs"] = {
      job("command", "command", says, "@deployment"),
      job("script", "script", "#!/bin/sh\n" + says + "; echo \"refused $JOB_ENV\" >&2; exit 7\n",
          "@deployment")};
  const Json before = installation_.workspace("vault")["version"];
  Watcher watcher(installation_.root());
  installation_.write("vault", "config.json", changed.dump(2));
  write_file(installation_.config_dir() / "jobs" / "alone.json",
             Json{{"command", says}, {"schedule", "* * * * *"}, {"environment", secrets}}.dump());
  ASSERT_TRUE(
      eventually(60s, [&] { return installation_.workspace("vault")["version"] != before; }));
  ASSERT_EQ(run({"workspace", "deploy", "vault"}).code, 0) << installation_.log();
  const auto runs = job_runs(3);
  ASSERT_GE(runs.size(), 3u) << installation_.log();
  for (const auto& each : runs) {
    EXPECT_EQ(each["status"], each["job"] == "script" ? "failed" : "succeeded") << each;
    const auto log = run({"run", "logs", each["id"]}).out;
    EXPECT_NE(log.find("with *** and ***"), std::string::npos) << log;
  }
  EXPECT_EQ(read_file(seen).substr(0, 6), "16 17\n");
  watcher.stop();

  expect_nowhere();
  EXPECT_EQ(watcher.command_lines(), std::set<std::string>());
  EXPECT_EQ(watcher.files(), std::set<std::string>{"variables.tfvars.json 600"});
  installation_.stop_daemon();
  EXPECT_EQ(on_disk(), std::vector<std::string>());
}

TEST_F(Secrets, AppearNowhereAfterAnAttemptWasKilledWithItsProcesses) {
  change(R"(variable "from_env" { type = string }
variable "from_file" { type = string }
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command     = "echo $ONE; sleep 300"
    environment = { ONE = var.from_env }
  }
}
)");
  const auto detached = run({"workspace", "deploy", "vault", "--detach"});
  const std::string id = detached.out.substr(0, detached.out.find('\n'));
  ASSERT_TRUE(eventually(60s, [&] { return !installation_.processes_of(id, "sleep 300").empty(); }))
      << installation_.log();
  for (const pid_t pid : installation_.processes_of(id)) kill(pid, SIGKILL);
  EXPECT_EQ(run({"run", "cancel", id}).code, 0);
  EXPECT_NE(installation_.wait_for_end(id)["status"], "running");
  // What the dead runner left is cleared away, or kept for a person without the secrets.
  EXPECT_TRUE(eventually(60s, [&] { return on_disk().empty(); })) << on_disk().at(0);
  expect_nowhere();
}

// What a resource stores is tofu's; people are shown the state without it, also where the author
// of the content has not marked the variable as sensitive.
TEST_F(Secrets, StoredByAResourceAreInTheStateAloneAndMaskedForPeople) {
  change(R"(variable "from_env" { type = string }
variable "from_file" { type = string }
resource "terraform_data" "stores" { input = "url?token=${var.from_env}" }
output "url" { value = terraform_data.stores.output }
)");
  ASSERT_EQ(run({"workspace", "deploy", "vault"}).code, 0) << installation_.log();
  EXPECT_EQ(run({"workspace", "plan", "vault"}).code, 0);
  EXPECT_TRUE(is_secret_in(installation_.command({"state", "pull", "vault"}).out));
  run({"state", "show", "vault"});
  run({"workspace", "outputs", "vault"});
  run({"workspace", "outputs", "vault", "--json"});
  run({"workspace", "logs", "vault"});
  change(R"(variable "from_env" { type = string }
variable "from_file" { type = string }
)");
  ASSERT_EQ(run({"workspace", "deploy", "vault"}).code, 0);
  run({"state", "diff", "vault", "1", "2"});
  EXPECT_EQ(in_answers(), std::vector<std::string>());
  EXPECT_EQ(finding("what was printed", printed_), "");
}

}  // namespace
}  // namespace provisioner::testing
