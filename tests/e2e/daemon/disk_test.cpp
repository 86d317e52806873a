// A disk that is full, or that nobody may write to: what is said, and that nothing is lost.
#include <gtest/gtest.h>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/mounted_over.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

bool names_the_full_disk(const std::string& text) {
  return holds(text, "No space left on device") || holds(text, "free space on the disk");
}

// One resource that waits, once it is made, for the file "go" beside the state directory.
std::string gated(const std::filesystem::path& root) {
  return R"(resource "terraform_data" "one" {
  provisioner "local-exec" {
    command = "touch begun && while [ ! -e go ]; do sleep 0.05; done"
    working_dir = ")" +
         root.string() + R"("
  }
}
)";
}

class Disk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = MountedOver::why_impossible(); !reason.empty()) GTEST_SKIP() << reason;
  }

  void start_on_a_small_disk() {
    small_.emplace(MountedOver::small(installation_.state_dir(), std::size_t{24} << 20));
    installation_.start();
  }

  void wait_until_known(const std::string& name) {
    ASSERT_TRUE(eventually(30s, [&] {
      return installation_.command({"workspace", "show", name}).code == 0;
    })) << installation_.log();
  }

  std::filesystem::path ballast() const { return installation_.state_dir() / "ballast"; }

  Installation installation_;
  std::optional<MountedOver> small_;
};

TEST_F(Disk, ThatIsFullFailsADeployWithTheReasonAndServesAgainWhenThereIsSpace) {
  installation_.add_workspace("shop", {{"deploy_schedule", false}});
  start_on_a_small_disk();
  wait_until_known("shop");
  ASSERT_EQ(installation_.command({"workspace", "deploy", "shop"}).code, 0) << installation_.log();
  const Json before = installation_.query({"state", "list", "shop"})["items"];

  fill_up(ballast());
  const auto refused = installation_.command({"workspace", "deploy", "shop"});
  EXPECT_EQ(refused.code, 1) << refused.out << refused.err;
  EXPECT_TRUE(names_the_full_disk(refused.out + refused.err)) << refused.out << refused.err;
  EXPECT_TRUE(installation_.daemon().running()) << installation_.log();
  EXPECT_EQ(installation_.query({"state", "list", "shop"})["items"], before);

  std::filesystem::remove(ballast());
  // What was refused left nothing in the way.
  const auto again = installation_.command({"workspace", "deploy", "shop"});
  EXPECT_EQ(again.code, 0) << again.out << again.err << installation_.log();
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
}

TEST_F(Disk, ThatFillsUpDuringAnApplyLosesNoStateWhenSpaceReturns) {
  installation_.add_workspace("shop", {{"deploy_schedule", false}}, gated(installation_.root()));
  start_on_a_small_disk();
  wait_until_known("shop");
  const std::string id = installation_.query({"workspace", "deploy", "shop", "--detach"})["id"];
  ASSERT_TRUE(eventually(60s, [&] {
    return std::filesystem::exists(installation_.root() / "begun");
  })) << installation_.log();

  fill_up(ballast());
  write_file(installation_.root() / "go", "");
  // The runner cannot say so: its words would go to the same disk.
  EXPECT_TRUE(eventually(30s, [&] { return names_the_full_disk(installation_.log()); }))
      << installation_.log();
  std::filesystem::remove(ballast());

  const Json run = installation_.wait_for_end(id);
  EXPECT_EQ(run["status"], "succeeded") << run.dump(2) << installation_.log();
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
  EXPECT_TRUE(holds(installation_.command({"state", "show", "shop"}).out, "\"one\""));
  EXPECT_TRUE(eventually(30s, [&] { return installation_.processes_of(id).empty(); }));
}

TEST_F(Disk, ThatIsFullAtTheStartIsNamed) {
  small_.emplace(MountedOver::small(installation_.state_dir(), std::size_t{1} << 20));
  fill_up(ballast());
  const auto refused = installation_.command({"serve"}, 30s);
  EXPECT_EQ(refused.code, 1) << refused.err;
  EXPECT_TRUE(names_the_full_disk(refused.err)) << refused.err;
  EXPECT_TRUE(holds(refused.err, installation_.state_dir().string())) << refused.err;
}

TEST_F(Disk, ThatNobodyMayWriteToIsNamedAtTheStartAndNothingOfItIsTouched) {
  installation_.add_workspace("shop", {{"deploy_schedule", false}});
  installation_.start();
  wait_until_known("shop");
  ASSERT_EQ(installation_.command({"workspace", "deploy", "shop"}).code, 0) << installation_.log();
  ASSERT_EQ(installation_.stop_daemon(), 0);
  {
    const auto frozen = MountedOver::read_only(installation_.state_dir());
    const auto refused = installation_.command({"serve"}, 30s);
    EXPECT_EQ(refused.code, 1) << refused.err;
    EXPECT_TRUE(holds(refused.err, installation_.state_dir().string())) << refused.err;
    EXPECT_TRUE(holds(refused.err, "Read-only file system")) << refused.err;
  }
  installation_.start();
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
}

}  // namespace
}  // namespace provisioner::testing
