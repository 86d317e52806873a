// Loading and validating all workspaces at a start. The peer is reading the same files without
// doing anything with them: what the disk and the system calls cost anyway. The promise is 10,000
// workspaces in less than 2 seconds.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "config/folders.hpp"
#include "config/loader.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;
using testing::TempDirectory;
using testing::write_file;

constexpr int kWorkspaces = 10'000;

const TempDirectory& workspaces() {
  static const TempDirectory directory;
  static const bool filled = [] {
    for (int i = 0; i < kWorkspaces; ++i) {
      const auto folder = directory.path() / fmt::format("workspace-{:05}", i);
      write_file(folder / "config.json", fmt::format(R"({{"description": "workspace {0}",
  "deploy_schedule": ["{1} 7 * * MON-FRI", "{1} 9 * * SAT"],
  "destroy_schedule": "{1} 19 * * *",
  "timezone": "Europe/Zurich",
  "variables": {{"size": "small", "count": {0}, "password": {{"env": "PASSWORD"}}}},
  "environment": {{"AWS_REGION": "eu-central-1"}}}})",
                                                     i, i % 60));
      write_file(folder / "main.tf",
                 fmt::format("resource \"terraform_data\" \"r{}\" {{\n  input = 1\n}}\n", i));
      write_file(folder / "variables.tf",
                 "variable \"size\" {}\nvariable \"count\" {}\nvariable \"password\" {}\n");
    }
    return true;
  }();
  static_cast<void>(filled);
  return directory;
}

void load_and_validate(benchmark::State& state) {
  const auto& directory = workspaces();
  for (auto _ : state) {
    const auto scan = scan_workspaces(directory.path());
    for (const auto& name : scan->workspaces) {
      const auto loaded = load_workspace(directory.path(), name, nullptr);
      if (!loaded) return state.SkipWithError(loaded.error().message.c_str());
      benchmark::DoNotOptimize(loaded->definition);
    }
    if (scan->workspaces.size() != kWorkspaces)
      return state.SkipWithError("workspaces are missing");
  }
  state.counters["workspaces"] = kWorkspaces;
}
BENCHMARK(load_and_validate)->Unit(benchmark::kMillisecond);

void only_read_the_files(benchmark::State& state) {
  const auto& directory = workspaces();
  for (auto _ : state) {
    std::size_t bytes = 0;
    for (const auto& folder : fs::directory_iterator(directory.path())) {
      for (const auto& file : fs::directory_iterator(folder)) {
        std::ifstream stream(file.path(), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(stream), {}};
        bytes += text.size();
      }
    }
    benchmark::DoNotOptimize(bytes);
  }
  state.counters["workspaces"] = kWorkspaces;
}
BENCHMARK(only_read_the_files)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace provisioner
