// SIGHUP: what takes effect at once, what at the next start, and what is wrong and changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

class Reload : public ::testing::Test {
 protected:
  void settings(std::string_view text) {
    std::filesystem::create_directories(installation_.config_dir());
    write_file(installation_.config_dir() / "provisioner.toml", text);
  }
  void reload() { installation_.daemon().signal(SIGHUP); }
  bool is_said(const std::string& text) {
    return eventually(30s, [&] { return installation_.log().find(text) != std::string::npos; });
  }
  std::size_t running() {
    return installation_.query({"run", "list", "--status", "running"})["items"].size();
  }

  Installation installation_;
};

TEST_F(Reload, WhatMayChangeChangesAtOnce) {
  settings("[execution]\ncapacity = 1\n");
  const std::string wait = R"(resource "terraform_data" "gated" {
  provisioner "local-exec" {
    command = "until test -e )" +
                           (installation_.root() / "go").string() + R"(; do sleep 0.05; done"
  }
}
)";
  installation_.add_workspace("one", Json::object(), wait);
  installation_.add_workspace("two", Json::object(), wait);
  installation_.start();
  for (const char* name : {"one", "two"}) {
    EXPECT_EQ(installation_.command({"workspace", "deploy", name, "--detach"}).code, 0);
  }
  ASSERT_TRUE(eventually(30s, [&] { return running() == 1; }));

  settings("[execution]\ncapacity = 2\n[log]\nlevel = \"debug\"\n[runs]\nlease = \"200s\"\n");
  reload();
  EXPECT_TRUE(is_said("took effect: log.level, execution.capacity") ||
              is_said("took effect: execution.capacity, log.level"))
      << installation_.log();
  EXPECT_TRUE(is_said("take effect at the next start: runs.lease")) << installation_.log();
  EXPECT_TRUE(eventually(30s, [&] { return running() == 2; })) << installation_.log();

  settings("[log]\nlevel = \"warning\"\n[execution]\ncapacity = 2\n[runs]\nlease = \"200s\"\n");
  reload();
  write_file(installation_.root() / "go", "");
  EXPECT_EQ(installation_.wait_for_status("two", "deployed")["status"], "deployed");
  EXPECT_EQ(installation_.stop_daemon(), 0);
  EXPECT_EQ(installation_.log().find("stopping; runs go on"), std::string::npos)
      << "warnings only, since the second reload";
}

TEST_F(Reload, WhatIsWrongChangesNothingAndIsSaid) {
  settings("[execution]\ncapacity = 3\n");
  installation_.start();
  settings("[execution]\ncapacity = \"many\"\n");
  reload();
  EXPECT_TRUE(is_said("the settings in use stay:")) << installation_.log();
  EXPECT_TRUE(is_said("execution.capacity")) << installation_.log();
  EXPECT_EQ(installation_.command({"cluster", "status"}).code, 0);
  EXPECT_EQ(installation_.stop_daemon(), 0);
}

// systemd takes READY=1 as the end of a reload, and as the end of a start.
TEST_F(Reload, BeforeItIsReadyItDoesNotSayThatItIs) {
  const auto path = (installation_.root() / "notify").string();
  const int systemd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(systemd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  auto& environment = installation_.environment;
  environment["NOTIFY_SOCKET"] = path;
  environment["DATABASE_HOST"] = "127.0.0.1";
  environment["DATABASE_PORT"] = "1";  // nobody answers there
  environment["DATABASE_PASSWORD"] = "a password";
  environment["INSTANCE_ID"] = "a";
  installation_.launch();
  ASSERT_TRUE(is_said("not ready, trying again")) << installation_.log();
  settings("[execution]\ncapacity = 3\n");
  reload();
  ASSERT_TRUE(is_said("took effect: execution.capacity")) << installation_.log();
  EXPECT_EQ(installation_.stop_daemon(), 0) << installation_.log();
  std::string told;
  char word[4096];
  for (ssize_t n = 0; (n = ::recv(systemd, word, sizeof word, 0)) > 0;) {
    told.append(word, static_cast<std::size_t>(n)).append("\n");
  }
  ::close(systemd);
  EXPECT_EQ(told.find("READY=1"), std::string::npos) << told;
}

}  // namespace
}  // namespace provisioner::testing
