// The examples are what people copy: they load without a warning, and one of them acts soon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/folders.hpp"
#include "config/loader.hpp"
#include "config/settings.hpp"

namespace provisioner {
namespace {

using ::testing::IsEmpty;

const std::filesystem::path kQuickstart = PROVISIONER_SOURCE_DIR "/examples/quickstart";

TEST(Quickstart, EveryWorkspaceLoadsWithoutAWarning) {
  const auto scan = scan_workspaces(kQuickstart / "workspaces");
  ASSERT_TRUE(scan) << scan.error().message;
  EXPECT_THAT(scan->problems, IsEmpty());
  EXPECT_EQ(scan->workspaces.size(), 4u);
  for (const auto& name : scan->workspaces) {
    const auto loaded = load_workspace(kQuickstart / "workspaces", name, nullptr);
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_THAT(loaded->warnings, IsEmpty());
  }
}

TEST(Quickstart, PulseSaysSomethingEveryMinute) {
  const auto pulse = load_workspace(kQuickstart / "workspaces", WorkspaceName("pulse"), nullptr);
  ASSERT_TRUE(pulse) << pulse.error().message;
  const Timeline timeline(pulse->spec.rules, Zone::find("UTC").value(), pulse->spec.dst);
  const auto start = parse_rfc3339("2026-11-23T09:00:30Z").value();
  EXPECT_EQ(timeline.count(start, start + std::chrono::hours(1)), 60);
}

TEST(Quickstart, TheSettingsLoad) {
  const auto loaded =
      load_settings({.environment = {{"PROVISIONER_CONFIG_DIR", kQuickstart.string()}}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_THAT(loaded->warnings, IsEmpty());
}

}  // namespace
}  // namespace provisioner
