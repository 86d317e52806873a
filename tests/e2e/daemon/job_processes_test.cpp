// A job that behaves as badly as it can, and what is left of it: nothing.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kMemoryIsTheProgramsOwn = false;
#else
constexpr bool kMemoryIsTheProgramsOwn = true;
#endif

constexpr std::size_t kLogLimit = 10 << 20;

class WildJob : public ::testing::Test {
 protected:
  // Where the daemon fails to, the test does not leave them behind.
  ~WildJob() override {
    for (const auto& process : living()) kill(std::stoi(process), SIGKILL);
  }

  // `work` by the shell, with a tree around it of which no member heeds a signal: one in the job's
  // own process group, one in a session of its own, one orphaned in a session of its own whose
  // environment says nothing either.
  std::string wild(const std::string& work) const {
    const std::string stubborn =
        fmt::format("trap \"\" INT TERM HUP QUIT; touch {}/$0; exec sleep {}",
                    installation_.root().string(), marker_);
    return fmt::format(
        "#!/bin/sh\n"
        "trap '' INT TERM HUP QUIT\n"
        "sh -c '{0}' grouped &\n"
        "setsid sh -c '{0}' apart &\n"
        "(env -i PATH=\"$PATH\" setsid sh -c '{0}' orphaned &)\n"
        "{1}\n"
        "exec sleep {2}\n",
        stubborn, work, marker_);
  }
  bool tree_is_there() const {
    return eventually(60s, [&] {
      return std::ranges::all_of(std::vector<std::string>{"grouped", "apart", "orphaned"},
                                 [&](const auto& name) { return has(name); });
    });
  }
  bool has(const std::string& name) const { return fs::exists(installation_.root() / name); }

  // Of the whole machine.
  std::vector<std::string> living() const {
    std::vector<std::string> found;
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator("/proc", gone)) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const auto command = command_of(static_cast<pid_t>(std::stol(name)));
      if (command.find(marker_) != std::string::npos) found.push_back(name + " " + command);
    }
    return found;
  }

  void write_job(const std::string& name, const Json& job) const {
    write_file(installation_.config_dir() / "jobs" / (name + ".json"), job.dump(2));
  }
  // The run of a standalone job, as soon as there is one.
  Json run_of(const std::string& job) const {
    Json found;
    eventually(60s, [&] {
      for (const auto& run : installation_.query({"run", "list", "--limit", "100"})["items"]) {
        if (run["job"] == job) found = run;
      }
      return !found.is_null();
    });
    EXPECT_FALSE(found.is_null()) << installation_.log();
    return found;
  }
  std::int64_t resident_kib() {
    const auto status = read_file(fmt::format("/proc/{}/status", installation_.daemon().pid()));
    return std::stoll(status.substr(status.find("VmRSS:") + 6));
  }

  Installation installation_;
  // How long its processes sleep: no other's do.
  const std::string marker_ = fmt::format("3{:08}", getpid());
};

TEST_F(WildJob, EndsAtItsTimeoutWithAllItStartedAndItsOutputIsCut) {
  const std::string line(199, 'x');
  write_job("wild", {{"script", wild(fmt::format("yes {} | head -c 100000000\ntouch {}/written",
                                                 line, installation_.root().string()))},
                     {"schedule", "@reboot"},
                     {"timeout", "20s"}});
  write_job("tame", {{"command", "echo tame"}, {"schedule", "@reboot"}});
  installation_.start();
  ASSERT_EQ(installation_.wait_for_end(run_of("tame")["id"])["status"], "succeeded");
  const auto before = resident_kib();
  const std::string id = run_of("wild")["id"];
  ASSERT_TRUE(tree_is_there()) << installation_.log();
  EXPECT_GE(living().size(), 3u);

  const Json run = installation_.wait_for_end(id, 120s);
  EXPECT_EQ(run["status"], "timed_out") << run;
  EXPECT_THAT(run["error"].get<std::string>(), HasSubstr("20s"));
  EXPECT_EQ(living(), std::vector<std::string>());
  EXPECT_TRUE(installation_.processes_of(id).empty());
  EXPECT_TRUE(has("written")) << "it was to write all of its 100 MB before its time was over";
  const auto after = resident_kib();
  if (kMemoryIsTheProgramsOwn) EXPECT_LT(after - before, 30 * 1024) << before << " KiB before";

  const auto log = installation_.command({"run", "logs", id});
  EXPECT_LT(log.out.size(), kLogLimit + 4096);
  EXPECT_THAT(log.out.substr(log.out.size() - std::min<std::size_t>(log.out.size(), 400)),
              HasSubstr(fmt::format("[output cut: it is longer than {} bytes]", kLogLimit)));
}

TEST_F(WildJob, EndsWithAllItStartedWhenItsRunIsCancelled) {
  write_job("wild", {{"script", wild("echo at work")}, {"schedule", "@reboot"}});
  installation_.start();
  const std::string id = run_of("wild")["id"];
  ASSERT_TRUE(tree_is_there()) << installation_.log();
  EXPECT_EQ(installation_.command({"run", "cancel", id}).code, 0);
  const Json run = installation_.wait_for_end(id);
  EXPECT_EQ(run["status"], "cancelled") << run;
  EXPECT_EQ(living(), std::vector<std::string>());
  EXPECT_TRUE(installation_.processes_of(id).empty());
  EXPECT_THAT(installation_.command({"run", "logs", id}).out, HasSubstr("at work\n"));
}

// Those that a job leaves behind are no daemons of its own making: they end with it.
TEST_F(WildJob, LeavesNothingBehindWhenItEndsByItself) {
  write_job("wild", {{"script", wild(fmt::format("until test -e {}/orphaned; do sleep 0.05; done\n"
                                                 "exit 0",
                                                 installation_.root().string()))},
                     {"schedule", "@reboot"}});
  installation_.start();
  const Json run = installation_.wait_for_end(run_of("wild")["id"]);
  EXPECT_EQ(run["status"], "succeeded") << run;
  EXPECT_TRUE(has("orphaned"));
  EXPECT_TRUE(eventually(60s, [&] { return living().empty(); })) << living().at(0);
}

}  // namespace
}  // namespace provisioner::testing
