// The arrows between the rooms (docs/architecture.md): a file includes only what its room may use.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace provisioner {
namespace {

const std::map<std::string, std::set<std::string>> kMayUse = {
    {"base", {}},
    {"runtime", {"base"}},
    {"schedule", {"base"}},
    {"model", {"base", "schedule"}},
    {"telemetry", {"base", "runtime"}},
    {"config", {"base", "runtime", "schedule", "model"}},
    {"http", {"base", "runtime"}},
    {"store", {"base", "runtime", "schedule", "model"}},
    {"election", {"base", "runtime", "schedule", "model", "store", "http", "telemetry"}},
    {"tofu", {"base", "runtime", "schedule", "model"}},
    {"runner", {"base", "runtime", "schedule", "model", "http", "tofu"}},
    {"scheduler",
     {"base", "runtime", "schedule", "model", "config", "store", "election", "telemetry"}},
    {"execution",
     {"base", "runtime", "schedule", "model", "config", "http", "store", "tofu", "runner",
      "telemetry"}},
    {"templates", {"base", "runtime", "schedule", "model", "config", "store", "tofu", "telemetry"}},
    {"migration", {"base", "runtime", "schedule", "model", "config", "store", "tofu", "execution"}},
    {"server",
     {"base", "runtime", "schedule", "model", "config", "http", "store", "tofu", "scheduler",
      "execution", "templates", "telemetry"}},
    {"cli",
     {"base", "runtime", "schedule", "model", "config", "http", "tofu", "execution", "telemetry"}},
    {"guard_main", {"base", "runner"}},
    {"runner_main", {"base", "runtime", "runner"}},
};

// The composition may use everything.
const std::set<std::string> kUnrestricted = {"app"};

TEST(Rooms, IncludeOnlyTheRoomsBelowThem) {
  const std::filesystem::path source = std::filesystem::path(PROVISIONER_SOURCE_DIR) / "src";
  const std::regex include(R"re(^\s*#include "([a-z_]+)/)re");
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source)) {
    const auto extension = entry.path().extension();
    if (extension != ".cpp" && extension != ".hpp") continue;
    const auto relative = std::filesystem::relative(entry.path(), source);
    const std::string room = relative.begin()->string();
    if (kUnrestricted.contains(room) || std::next(relative.begin()) == relative.end()) continue;
    ASSERT_TRUE(kMayUse.contains(room))
        << relative << " is in a room that this table does not know";
    ++files;
    std::ifstream text(entry.path());
    std::string line;
    for (int number = 1; std::getline(text, line); ++number) {
      std::smatch match;
      if (!std::regex_search(line, match, include)) continue;
      const std::string used = match[1];
      EXPECT_TRUE(used == room || kMayUse.at(room).contains(used))
          << relative.string() << ":" << number << " includes " << used << ", which " << room
          << " may not use";
    }
  }
  EXPECT_GT(files, 20);
}

TEST(Rooms, ReadTheClockOnlyInRuntime) {
  const std::filesystem::path source = std::filesystem::path(PROVISIONER_SOURCE_DIR) / "src";
  const std::regex now(
      R"re((system_clock|steady_clock|utc_clock)::now|clock_gettime|[^_a-z]time\((NULL|nullptr|0)\))re");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source)) {
    const auto relative = std::filesystem::relative(entry.path(), source);
    const std::string room = relative.begin()->string();
    // The guard is a page of code without the runtime, so that nothing in it can fail; its only
    // look at the clock goes into its exit record.
    const bool guard = relative == "runner/guard.cpp";
    if (!entry.is_regular_file() || room == "runtime" || room == "app" || guard) continue;
    std::ifstream text(entry.path());
    std::string line;
    for (int number = 1; std::getline(text, line); ++number) {
      EXPECT_FALSE(std::regex_search(line, now))
          << relative.string() << ":" << number << ": " << line;
    }
  }
}

}  // namespace
}  // namespace provisioner
