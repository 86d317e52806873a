#include "execution/workspace_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>

namespace provisioner::execution {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class Remember final : public LogSink {
 public:
  void write(const LogEvent& event) override {
    const std::scoped_lock lock(mutex_);
    messages_.push_back(event.message);
  }
  std::vector<std::string> messages() {
    const std::scoped_lock lock(mutex_);
    return messages_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> messages_;
};

class WorkspaceLogTest : public testing::Test {
 protected:
  WorkspaceLogTest() {
    std::string pattern = testing::TempDir() + "workspace_log_XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~WorkspaceLogTest() override { std::filesystem::remove_all(directory_); }

  Logger logger() { return Logger(sink_, clock_, "execution"); }
  std::string text(const std::string& name) {
    std::ifstream in(directory_ / name);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }

  boost::asio::io_context loop_;
  SystemClock clock_{loop_.get_executor()};
  std::shared_ptr<Remember> sink_ = std::make_shared<Remember>();
  std::filesystem::path directory_;
};

const Instant kAt = parse_rfc3339("2025-09-19T12:04:33Z").value();

TEST_F(WorkspaceLogTest, WritesTheLinesThatPeopleGrepFor) {
  {
    WorkspaceLog log(directory_, logger());
    const auto subject = log_subject(provisioner::Run{});
    log.write(WorkspaceName("shop"), kAt, subject, "Starting manual deployment");
    log.write(WorkspaceName("shop"), kAt, subject, "one\ntwo\n");
  }
  const std::string stamp = "[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:33 ";
  const std::string written = text("shop.log");
  EXPECT_THAT(written, MatchesRegex(stamp + "MANUAL DEPLOY: Starting manual deployment\n" + stamp +
                                    "MANUAL DEPLOY: one\n" + stamp + "MANUAL DEPLOY: two\n"));
}

TEST_F(WorkspaceLogTest, KeepsABoundedNumberOfBoundedFiles) {
  {
    WorkspaceLog log(directory_, logger(), {.bytes = 100, .files = 3});
    for (int i = 0; i < 20; ++i) {
      log.write(WorkspaceName("shop"), kAt, "X",
                "line " + std::to_string(i) + std::string(40, '.'));
    }
  }
  EXPECT_THAT(text("shop.log"), HasSubstr("line 19"));
  EXPECT_THAT(text("shop.log.1"), HasSubstr("line 18"));
  EXPECT_THAT(text("shop.log.2"), HasSubstr("line 17"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "shop.log.3"));
}

TEST_F(WorkspaceLogTest, SaysOnceThatItCannotWrite) {
  {
    WorkspaceLog log(directory_ / "missing", logger());
    log.write(WorkspaceName("shop"), kAt, "X", "lost");
    log.write(WorkspaceName("shop"), kAt, "X", "lost, too");
  }
  const auto messages = sink_->messages();
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_THAT(messages.front(), HasSubstr("missing/shop.log"));
}

}  // namespace
}  // namespace provisioner::execution
