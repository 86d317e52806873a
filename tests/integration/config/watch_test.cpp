#include "config/watch.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <fstream>
#include <thread>

#include "config/loader.hpp"
#include "config/settling.hpp"
#include "runtime/first_of.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using provisioner::testing::read_file;
using provisioner::testing::run_task;
using provisioner::testing::TempDirectory;
using provisioner::testing::write_file;

class WatchTest : public ::testing::Test {
 protected:
  WatchTest() : clock_(loop_.get_executor()) {
    write("shop/main.tf");
    write("shop/files/deep/x");
    write("blog/main.tf");
  }

  fs::path workspaces() const { return root_ / "workspaces"; }
  void write(const std::string& path, std::string_view text = "x") {
    write_file(workspaces() / path, text);
  }
  void open() {
    auto watcher = FolderWatcher::open(loop_.get_executor(), clock_, workspaces());
    ASSERT_TRUE(watcher) << watcher.error().message;
    watcher_ = std::move(*watcher);
  }

  // Everything told until `folder` (or "everything", for "") is among it; at most a minute.
  FolderChanges wait_for(const std::string& folder) {
    FolderChanges seen;
    run_task(loop_, wait_or_give_up(folder, seen));
    return seen;
  }
  bool sees(const std::string& folder) { return wait_for(folder).folders.contains(folder); }

  // Ends the events so far: what comes afterwards is new.
  void drain() {
    write("marker/" + std::to_string(++markers_));
    const auto name = "marker" + std::to_string(markers_);
    write(name + "/x");
    EXPECT_TRUE(sees(name));
    EXPECT_TRUE(watcher_->trouble().empty()) << watcher_->trouble();
  }

  TempDirectory root_;
  boost::asio::io_context loop_;
  SystemClock clock_;
  std::unique_ptr<FolderWatcher> watcher_;

 private:
  Task<> wait_or_give_up(std::string folder, FolderChanges& seen) {
    co_await first_of(collect(folder, seen), clock_.sleep_for(60s));
  }
  Task<> collect(std::string folder, FolderChanges& seen) {
    while (folder.empty() ? !seen.everything : !seen.folders.contains(folder)) {
      auto changes = co_await watcher_->next();
      seen.folders.merge(changes.folders);
      seen.everything = seen.everything || changes.everything;
    }
  }

  int markers_ = 0;
};

TEST_F(WatchTest, AnEditIsSeenWhereverItIs) {
  open();
  write("shop/main.tf", "y");
  EXPECT_TRUE(sees("shop"));
  drain();
  write("shop/files/deep/x", "y");
  EXPECT_TRUE(sees("shop"));
  drain();
  fs::permissions(workspaces() / "blog/main.tf", fs::perms::owner_exec, fs::perm_options::add);
  EXPECT_TRUE(sees("blog"));
  drain();
  fs::remove(workspaces() / "blog/main.tf");
  EXPECT_TRUE(sees("blog"));
}

TEST_F(WatchTest, AnEditorsReplacementIsSeen) {
  open();
  write("shop/.main.tf.swp");
  write("shop/main.tf.tmp", "y");
  fs::rename(workspaces() / "shop/main.tf.tmp", workspaces() / "shop/main.tf");
  EXPECT_TRUE(sees("shop"));
}

TEST_F(WatchTest, WhatIsNoContentIsNotTold) {
  open();
  write("shop/.main.tf.swp");
  write("shop/main.tf~");
  write("shop/.terraform/providers/x");
  write("shop/terraform.tfstate");
  write("blog/main.tf", "y");
  EXPECT_EQ(wait_for("blog").folders, (std::set<std::string>{"blog"}));
}

TEST_F(WatchTest, FoldersComeGoAndReturn) {
  open();
  write("new/config.json", "{}");
  EXPECT_TRUE(sees("new"));
  drain();
  write("new/sub/sub/x");
  EXPECT_TRUE(sees("new"));
  drain();
  write("new/sub/sub/x", "y");
  EXPECT_TRUE(sees("new"));
  drain();
  fs::remove_all(workspaces() / "new");
  EXPECT_TRUE(sees("new"));
  drain();
  write("new/config.json", "{}");
  EXPECT_TRUE(sees("new"));
  drain();
  write("new/config.json", "{ }");
  EXPECT_TRUE(sees("new"));
}

TEST_F(WatchTest, ARenamedFolderIsToldUnderBothNames) {
  open();
  fs::rename(workspaces() / "shop", workspaces() / "store");
  const auto seen = wait_for("store");
  EXPECT_TRUE(seen.folders.contains("shop"));
  EXPECT_TRUE(seen.folders.contains("store"));
  drain();
  write("store/files/deep/x", "y");
  const auto later = wait_for("store");
  EXPECT_EQ(later.folders, (std::set<std::string>{"store"}));
}

TEST_F(WatchTest, ALinkToAFolderIsAWorkspace) {
  write_file(root_ / "git/shop2/main.tf", "x");
  open();
  fs::create_directory_symlink(root_ / "git/shop2", workspaces() / "shop2");
  EXPECT_TRUE(sees("shop2"));
  drain();
  write_file(root_ / "git/shop2/main.tf", "y");
  EXPECT_TRUE(sees("shop2"));
}

TEST_F(WatchTest, IncludedPathsCountForTheFolder) {
  write_file(root_ / "modules/vpc/main.tf", "x");
  write_file(root_ / "common.tfvars", "x");
  open();
  watcher_->watch_also("shop", {root_ / "modules", root_ / "common.tfvars"});
  watcher_->watch_also("blog", {root_ / "modules"});
  write_file(root_ / "modules/vpc/main.tf", "y");
  const auto seen = wait_for("shop");
  EXPECT_EQ(seen.folders, (std::set<std::string>{"shop", "blog"}));
  drain();
  write_file(root_ / "modules/net/main.tf", "x");
  EXPECT_TRUE(sees("shop"));
  drain();
  write_file(root_ / "common.tfvars", "y");
  EXPECT_TRUE(sees("shop"));
  drain();
  watcher_->watch_also("shop", {});
  write_file(root_ / "modules/net/main.tf", "y");
  EXPECT_EQ(wait_for("blog").folders, (std::set<std::string>{"blog"}));
}

TEST_F(WatchTest, TheDirectoryItselfMayVanishAndReturn) {
  open();
  fs::rename(workspaces(), root_ / "away");
  EXPECT_TRUE(wait_for("").everything);
  write("other/main.tf");
  EXPECT_TRUE(wait_for("").everything);
  write("other/main.tf", "y");
  EXPECT_TRUE(sees("other"));
}

TEST_F(WatchTest, TheDirectoryMayAppearLater) {
  fs::remove_all(workspaces());
  open();
  std::thread later([&] { write("shop/main.tf"); });
  EXPECT_TRUE(wait_for("").everything);
  later.join();
}

TEST_F(WatchTest, LostEventsMeanLookAtEverything) {
  const auto most = std::stoul(read_file("/proc/sys/fs/inotify/max_queued_events"));
  if (most > 100'000) GTEST_SKIP() << "max_queued_events is " << most << ": too many to exceed";
  write("shop/a");
  write("shop/b");
  open();
  for (unsigned long i = 0; i < most; ++i) {  // two names in turn: the kernel merges equal events
    fs::permissions(workspaces() / (i % 2 == 0 ? "shop/a" : "shop/b"), fs::perms::owner_all);
  }
  write("unseen/main.tf");
  EXPECT_TRUE(wait_for("").everything);
  drain();
  write("unseen/main.tf", "y");
  EXPECT_TRUE(sees("unseen"));
}

// A writer that takes its time, as a copy over a slow link does.
TEST_F(WatchTest, AFolderIsReadWhenItsWriterHasFinished) {
  write("shop/config.json", "{}");
  open();
  std::thread writer([&] {
    std::ofstream file(workspaces() / "shop/main.tf", std::ios::trunc);
    for (int i = 0; i < 120; ++i) {
      file << "# line " << i << '\n' << std::flush;
      std::this_thread::sleep_for(20ms);  // the pace of the writer, not a wait
    }
    file << "# end\n";
  });
  // Shorter than the writing as a whole; far longer than any pause that a busy machine puts into
  // it.
  Settling settling(2s);
  std::vector<std::string> read;
  const auto follow = [&]() -> Task<> {
    while (read.empty()) {
      const auto due = settling.next_due();
      const auto wait = [&]() -> Task<> {
        const auto changes = co_await watcher_->next();
        for (const auto& folder : changes.folders) settling.touch(folder, clock_.boot_now());
      };
      co_await first_of(wait(), clock_.sleep_until(due.value_or(clock_.boot_now() + 60s)));
      for (const auto& folder : settling.take_due(clock_.boot_now())) {
        const auto loaded = load_workspace(workspaces(), WorkspaceName(folder), nullptr);
        read.push_back(loaded ? loaded->bundle : loaded.error().message);
      }
    }
  };
  run_task(loop_, follow());
  writer.join();
  ASSERT_EQ(read.size(), 1u);
  EXPECT_NE(read[0].find("# end\n"), std::string::npos);
}

}  // namespace
}  // namespace provisioner
