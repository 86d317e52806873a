// The Containerfile, read: what it copies exists, what it installs is what the programs are linked
// with, and what it sets are settings. Building it needs a base image, which no test fetches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include "config/settings.hpp"
#include "tests/e2e/deploy/manifests.hpp"
#include "tests/support/daemon.hpp"

namespace provisioner::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

std::string value_of(const std::vector<Instruction>& stage, std::string_view word) {
  const auto found = std::ranges::find(stage, word, &Instruction::word);
  return found == stage.end() ? "" : found->rest;
}

// What the Debian packages of these programs would depend on.
std::set<std::string> libraries_of(const std::vector<fs::path>& programs) {
  const TempDirectory source;
  write_file(source / "debian/control", "Source: x\n\nPackage: x\nArchitecture: any\n");
  std::vector<std::string> command = {"env", "-C", source.path(), "dpkg-shlibdeps", "-O"};
  for (const auto& program : programs) command.push_back("-e" + program.string());
  const Finished finished = run_program(command);
  EXPECT_EQ(finished.code, 0) << finished.err;
  std::set<std::string> packages;
  const std::regex package("[=,] ?([a-z][a-z0-9.+-]+)");
  for (auto match = std::sregex_iterator(finished.out.begin(), finished.out.end(), package);
       match != std::sregex_iterator(); ++match) {
    packages.insert((*match)[1]);
  }
  return packages;
}

TEST(Containerfile, CopiesWhatIsThere) {
  const fs::path top = PROVISIONER_SOURCE_DIR;
  const std::string ignored = read_file(top / ".containerignore");
  for (const auto& stage : stages()) {
    for (const auto& [word, rest] : stage) {
      if (word != "COPY" || rest.starts_with("--from")) continue;
      auto paths = words_of(rest);
      paths.pop_back();
      for (const auto& path : paths) {
        EXPECT_TRUE(fs::exists(top / path)) << rest;
        if (path != ".") {
          EXPECT_THAT(ignored, HasSubstr("!" + path.substr(0, path.find('/')))) << path;
        }
      }
    }
  }
  std::istringstream lines(ignored);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('!')) {
      EXPECT_TRUE(fs::exists(top / line.substr(1))) << line;
    }
  }
}

TEST(Containerfile, InstallsExactlyTheLibrariesThatTheProgramsAreLinkedWith) {
  std::set<std::string> wanted =
      libraries_of({built("provisioner"), built("provisioner-guard"), built("provisioner-runner")});
  wanted.erase("libc6");  // no image is without it
  std::set<std::string> named;
  for (const auto& [word, rest] : last_stage()) {
    if (word != "RUN") continue;
    for (const auto& each : words_of(rest)) {
      if (each.starts_with("lib")) named.insert(each);
    }
  }
  EXPECT_EQ(named, wanted);
}

TEST(Containerfile, StartsTheDaemonAsNobodyInParticular) {
  const auto stage = last_stage();
  EXPECT_EQ(value_of(stage, "ENTRYPOINT"), R"(["/usr/bin/provisioner", "serve"])");
  EXPECT_EQ(value_of(stage, "STOPSIGNAL"), "SIGTERM");
  EXPECT_EQ(value_of(stage, "EXPOSE"), "8080 9090");
  EXPECT_EQ(value_of(stage, "HEALTHCHECK"), "") << "probes ask from outside";
  const std::string user = value_of(stage, "USER");
  const Manifests manifests("base");
  const Json& context = manifests.pod()["securityContext"];
  EXPECT_EQ(user, std::to_string(context["runAsUser"].get<int>()) + ":" +
                      std::to_string(context["runAsGroup"].get<int>()));
  EXPECT_NE(context["runAsUser"], 0);
  EXPECT_EQ(context["fsGroup"], context["runAsGroup"]);
  EXPECT_THAT(
      value_of(stage, "LABEL"),
      HasSubstr("version=\"" + words_of(run_program({built("provisioner"), "version"}).out).at(1)));
}

TEST(Containerfile, SetsNothingButSettings) {
  Environment image = image_environment();
  EXPECT_EQ(image["HOME"], value_of(last_stage(), "VOLUME"));
  image.erase("HOME");
  for (const auto& [name, value] : image) {
    EXPECT_TRUE(std::ranges::any_of(setting_table(), [&](const SettingInfo& info) {
      return info.variable == name;
    })) << name;
  }
  EXPECT_EQ(image["PROVISIONER_SUPERVISE"], "on") << "a killed daemon must not end its runs";
  EXPECT_EQ(image["PROVISIONER_SHUTDOWN_DRAIN"], "on") << "nothing outlives the container";
}

}  // namespace
}  // namespace provisioner::testing
