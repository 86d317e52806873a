// The Debian package, installed on a copy of this machine: what it brings, that its unit is right,
// that its commands work as the unit's user, and that neither upgrade nor removal costs a state.
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>

#include "tests/support/eventually.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// This machine's files in a mount namespace of their own: what is written there is kept in memory,
// and gone with the object.
class Copy {
 public:
  Copy()
      : keeper_({"unshare", "--mount", "--propagation", "private", "bash", "-c", kMake, "bash",
                 below_.path().string()},
                {}, log_.path() / "log") {
    eventually(30s, [&] { return !keeper_.running() || is_made(); });
  }

  // "" when all is well.
  std::string why_impossible() const {
    return is_made() ? "" : "this machine permits no overlay: " + read_file(log_.path() / "log");
  }

  Finished run(const std::string& command) const {
    return run_program(inside({"chroot", root(), "bash", "-c", command}), kEnvironment, 120s);
  }
  std::unique_ptr<Background> begin(const std::string& command, const fs::path& output) const {
    return std::make_unique<Background>(inside({"chroot", root(), "bash", "-c", "exec " + command}),
                                        kEnvironment, output);
  }
  // Puts a file of the machine there.
  void take(const fs::path& file, const std::string& to) const {
    const Finished copied = run_program(inside({"cp", file, root() + to}));
    if (copied.code != 0) throw std::runtime_error(copied.err);
  }

 private:
  static constexpr const char* kMake = R"(set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1"/{upper,work,all}
mount -t overlay overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" "$1/all"
mount --rbind /proc "$1/all/proc"
mount --rbind /dev "$1/all/dev"
mount -t tmpfs tmpfs "$1/all/run"
mount -t tmpfs tmpfs "$1/all/tmp"
echo made
exec sleep 600)";
  inline static const Environment kEnvironment = {{"TF_CLI_CONFIG_FILE", ""},
                                                  {"DEBIAN_FRONTEND", "noninteractive"}};

  bool is_made() const { return read_file(log_.path() / "log") == "made\n"; }
  std::string root() const { return below_.path() / "all"; }
  std::vector<std::string> inside(std::vector<std::string> command) const {
    std::vector<std::string> all = {"nsenter", "-t", std::to_string(keeper_.pid()), "-m"};
    all.insert(all.end(), command.begin(), command.end());
    return all;
  }

  TempDirectory below_, log_;
  Background keeper_;
};

class DebianPackage : public ::testing::Test {
 protected:
  void SetUp() override {
    if (getuid() != 0) GTEST_SKIP() << "packages are installed by root";
    copy_ = std::make_unique<Copy>();
    const std::string why = copy_->why_impossible();
    if (!why.empty()) GTEST_SKIP() << why;
    // One that is on the PATH of this test alone.
    for (const char* name : {"tofu", "terraform"}) {
      const std::string there = std::string("/usr/local/bin/") + name;
      const Finished found = run_program({"which", name});
      if (found.code != 0 || copy_->run("test -x " + there).code == 0) continue;
      copy_->take(found.out.substr(0, found.out.find('\n')), there);
    }
    copy_->run("rm -rf /etc/provisioner /var/lib/provisioner /var/log/provisioner");
    const Finished built = run_program(
        {"cpack", "--config", fs::path(PROVISIONER_BIN_DIR).parent_path() / "CPackConfig.cmake",
         "-B", directory_.path()},
        {}, 120s);
    ASSERT_EQ(built.code, 0) << built.out << built.err;
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      if (entry.path().extension() == ".deb") copy_->take(entry.path(), "/package.deb");
    }
  }

  void install(const std::string& file = "/package.deb") {
    const Finished installed = copy_->run("dpkg --force-confold -i " + file);
    ASSERT_EQ(installed.code, 0) << installed.out << installed.err;
  }
  // What the unit does, without systemd.
  void serve() {
    const Finished made = copy_->run(
        "mkdir -p /var/lib/provisioner /var/log/provisioner && chmod 711 /var/lib/provisioner && "
        "chown provisioner: "
        "/var/lib/provisioner /var/log/provisioner");
    ASSERT_EQ(made.code, 0) << made.err;
    daemon_ = copy_->begin(
        "setpriv --reuid provisioner --regid provisioner --init-groups env "
        "HOME=/var/lib/provisioner /usr/bin/provisioner serve --listen off --no-supervise",
        directory_ / "serve.log");
    ASSERT_TRUE(eventually(60s, [&] { return answers(); })) << read_file(directory_ / "serve.log");
  }
  bool answers() const { return copy_->run("provisioner cluster status").code == 0; }

  TempDirectory directory_;
  std::unique_ptr<Copy> copy_;
  std::unique_ptr<Background> daemon_;
};

TEST_F(DebianPackage, BringsAUnitThatSystemdUnderstands) {
  install();
  if (HasFatalFailure()) return;
  const Finished verified =
      copy_->run("systemd-analyze verify /lib/systemd/system/provisioner.service");
  EXPECT_EQ(verified.code, 0) << verified.err;
  EXPECT_EQ(verified.err.find("provisioner.service"), std::string::npos) << verified.err;
  EXPECT_EQ(copy_->run("getent passwd provisioner").code, 0);
  EXPECT_EQ(copy_->run("stat -c '%a %U:%G' /etc/provisioner/environment").out,
            "640 root:provisioner\n")
      << "it may hold secrets";
  for (const std::string old_name : {"workspacectl", "jobctl", "templatectl"}) {
    EXPECT_EQ(copy_->run(old_name + " --help").code, 0) << old_name;
    EXPECT_EQ(copy_->run(old_name + " --version-full").code, 0) << old_name;
  }
  EXPECT_EQ(copy_->run("bash -n /usr/share/bash-completion/completions/provisioner").code, 0);
}

TEST_F(DebianPackage, DeploysAsTheUnitsUserAndKeepsTheStatesOverUpgradeRemovalAndPurge) {
  install();
  if (HasFatalFailure()) return;
  const Finished written = copy_->run(
      "mkdir /etc/provisioner/workspaces/one && cd /etc/provisioner/workspaces/one && "
      "echo '{}' > config.json && echo 'resource \"terraform_data\" \"one\" {}' > main.tf && "
      "echo '# ours' >> /etc/provisioner/provisioner.toml");
  ASSERT_EQ(written.code, 0) << written.err;
  serve();
  if (HasFatalFailure()) return;
  const Finished deployed = copy_->run("provisioner workspace deploy one");
  EXPECT_EQ(deployed.code, 0) << deployed.out << deployed.err;
  EXPECT_EQ(copy_
                ->run("setpriv --reuid nobody --regid nogroup --clear-groups provisioner workspace "
                      "destroy one --yes")
                .code,
            1)
      << "not everybody may";

  ASSERT_EQ(copy_
                ->run("cd /tmp && dpkg-deb -R /package.deb p && sed -i 's/^Version: .*/Version: "
                      "99.0/' p/DEBIAN/control && dpkg-deb -b p /newer.deb")
                .code,
            0);
  install("/newer.deb");
  daemon_->signal(SIGTERM);
  EXPECT_EQ(daemon_->wait(), 0);
  serve();
  if (HasFatalFailure()) return;
  EXPECT_NE(copy_->run("provisioner state pull one").out.find("terraform_data"), std::string::npos);
  EXPECT_EQ(copy_->run("tail -n 1 /etc/provisioner/provisioner.toml").out, "# ours\n");

  daemon_->signal(SIGTERM);
  EXPECT_EQ(daemon_->wait(), 0);
  const Finished purged = copy_->run("dpkg --purge provisioner");
  EXPECT_EQ(purged.code, 0) << purged.err;
  EXPECT_NE(purged.out.find("is kept"), std::string::npos) << purged.out;
  EXPECT_EQ(copy_->run("test -s /var/lib/provisioner/provisioner.db").code, 0);
  EXPECT_NE(copy_->run("test -e /usr/bin/provisioner").code, 0);
}

}  // namespace
}  // namespace provisioner::testing
