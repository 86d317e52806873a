// What needs no daemon: usage, help, previews of an expression, completion; and what a broken
// folder is told.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

Finished run(const std::vector<std::string>& arguments) {
  return Installation().command(arguments);
}

TEST(Usage, AnUnknownVerbSuggestsTheNearest) {
  const auto verb = run({"workspace", "deplyo"});
  EXPECT_EQ(verb.code, 2);
  EXPECT_TRUE(holds(verb.err, "did you mean deploy?")) << verb.err;
  const auto noun = run({"wrkspace", "list"});
  EXPECT_EQ(noun.code, 2);
  EXPECT_TRUE(holds(noun.err, "did you mean workspace?")) << noun.err;
}

TEST(Usage, EveryVerbExplainsItself) {
  const auto all = run({"--help-all"});
  ASSERT_EQ(all.code, 0);
  for (const auto& words : std::vector<std::vector<std::string>>{{"workspace", "list"},
                                                                 {"workspace", "show"},
                                                                 {"workspace", "status"},
                                                                 {"workspace", "plan"},
                                                                 {"workspace", "deploy"},
                                                                 {"workspace", "destroy"},
                                                                 {"workspace", "confirm"},
                                                                 {"workspace", "logs"},
                                                                 {"workspace", "history"},
                                                                 {"workspace", "outputs"},
                                                                 {"workspace", "validate"},
                                                                 {"workspace", "remove"},
                                                                 {"workspace", "hold"},
                                                                 {"workspace", "release"},
                                                                 {"workspace", "extend"},
                                                                 {"workspace", "mode"},
                                                                 {"workspace", "enable"},
                                                                 {"workspace", "disable"},
                                                                 {"workspace", "add"},
                                                                 {"workspace", "update"},
                                                                 {"run", "list"},
                                                                 {"run", "show"},
                                                                 {"run", "logs"},
                                                                 {"run", "cancel"},
                                                                 {"schedule", "preview"},
                                                                 {"schedule", "explain"},
                                                                 {"state", "list"},
                                                                 {"state", "show"},
                                                                 {"state", "diff"},
                                                                 {"state", "rollback"},
                                                                 {"state", "pull"},
                                                                 {"state", "push"},
                                                                 {"state", "unlock"},
                                                                 {"token", "create"},
                                                                 {"token", "list"},
                                                                 {"token", "revoke"},
                                                                 {"config", "show"},
                                                                 {"cluster", "status"},
                                                                 {"tofu"},
                                                                 {"doctor"},
                                                                 {"version"},
                                                                 {"completion"}}) {
    auto arguments = words;
    arguments.emplace_back("--help");
    const auto help = run(arguments);
    EXPECT_EQ(help.code, 0) << words.back();
    EXPECT_TRUE(holds(help.out, "Usage: provisioner " + words.front())) << help.out;
    EXPECT_GT(help.out.find("Usage:"), 10u) << "no sentence before the usage:\n" << help.out;
  }
}

TEST(Usage, ANounWithoutAVerbSaysWhatItCanDo) {
  const auto noun = run({"workspace"});
  EXPECT_EQ(noun.code, 2);
  EXPECT_TRUE(holds(noun.err, "Usage: provisioner workspace")) << noun.err;
  EXPECT_TRUE(holds(noun.err, "history")) << noun.err;
  const auto nothing = run({});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_TRUE(holds(nothing.err, "doctor")) << nothing.err;
  const auto nobody = run({"workspace", "deploy"});
  EXPECT_EQ(nobody.code, 2);
  EXPECT_TRUE(holds(nobody.err, "workspace is required")) << nobody.err;
  EXPECT_TRUE(holds(run({"tofu", "shop"}).err, "provisioner tofu shop -- state list"));
}

TEST(Usage, AnUnknownFormatNamesTheKnownOnes) {
  const auto wrong = run({"version", "--output", "xml"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_TRUE(holds(wrong.err, "\"xml\" is not one of table, json, yaml")) << wrong.err;
}

// More than a buffer of it, and less.
TEST(Usage, OutputThatADiskDidNotTakeIsAFailure) {
  for (const char* arguments :
       {"schedule explain @daily", "schedule preview --cron '* * * * *' --count 9999"}) {
    const auto lost =
        run_program({"sh", "-c", built("provisioner").string() + " " + arguments + " > /dev/full"});
    EXPECT_EQ(lost.code, 1) << arguments;
    EXPECT_TRUE(holds(lost.err, "writing the output: No space left on device")) << lost.err;
  }
}

TEST(Usage, WithoutADaemonTheExitCodeIsFive) {
  const auto list = run({"workspace", "list"});
  EXPECT_EQ(list.code, 5);
  EXPECT_TRUE(holds(list.err, "provisioner.sock")) << list.err;
  EXPECT_TRUE(holds(list.err, "provisioner serve")) << list.err;
}

TEST(Usage, AnExpressionIsPreviewedOfflineThroughAChangeOfClocks) {
  const Json points =
      Installation().query({"schedule", "preview", "--cron", "30 2 * * *", "--timezone",
                            "America/New_York", "--from", "2026-03-07T12:00:00Z", "--count", "2"});
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0]["at"], "2026-03-08T07:00:00Z");  // 02:30 does not exist: 03:00 EDT
  EXPECT_EQ(points[1]["at"], "2026-03-09T06:30:00Z");
  const Json day =
      Installation().query({"schedule", "preview", "--cron", "0 * * * *", "--timezone", "UTC",
                            "--from", "2026-05-01T00:00:00Z", "--to", "2026-05-01T05:00:00Z"});
  EXPECT_EQ(day.size(), 6u);  // both ends included
}

TEST(Usage, BadExpressionsZonesAndTimesAreWrongUsage) {
  const auto bad = [](std::vector<std::string> arguments, std::string_view reason) {
    arguments.insert(arguments.begin(), {"schedule", "preview"});
    const auto done = run(arguments);
    EXPECT_EQ(done.code, 2) << done.err;
    EXPECT_TRUE(holds(done.err, reason)) << done.err;
  };
  bad({"--cron", "75 * * * *"}, "minute 75 is outside 0-59");
  bad({"--cron", "* * * * *", "--timezone", "Mars/Base"}, "Mars/Base");
  bad({"--cron", "* * * * *", "--timezone", "UTC", "--from", "noon"}, "--from");
  bad({}, "--cron");
  EXPECT_EQ(run({"schedule", "explain", "61 * * * *"}).code, 2);
  EXPECT_EQ(run({"schedule", "explain", "0 8 * * MON-FRI"}).code, 0);
}

TEST(Usage, TheCompletionScriptIsValidBash) {
  Installation installation;
  const auto script = installation.command({"completion", "bash"});
  ASSERT_EQ(script.code, 0);
  write_file(installation.root() / "completion", script.out);
  const auto checked = run_program({"bash", "-n", installation.root() / "completion"});
  EXPECT_EQ(checked.code, 0) << checked.err;
  EXPECT_TRUE(holds(script.out, "rollback"));
}

TEST(Usage, SettingsAreShownWithTheirOrigin) {
  Installation installation;
  const Json shown = installation.query({"config", "show"});
  bool found = false;
  for (const auto& row : shown) {
    if (row["key"] != "change_settle") continue;
    found = true;
    EXPECT_EQ(row["value"], "200ms");
    EXPECT_EQ(row["origin"], "environment PROVISIONER_CHANGE_SETTLE");
  }
  EXPECT_TRUE(found) << shown.dump(2);
}

struct BadFolder {
  const char* name;
  const char* config;
  const char* tf;
  const char* reason;  // what the sentence has to hold

  friend void PrintTo(const BadFolder& folder, std::ostream* out) { *out << folder.reason; }
};

class ABadFolder : public ::testing::TestWithParam<BadFolder> {};

TEST_P(ABadFolder, IsNamedPreciselyAndLeavesTheOthersAlone) {
  Installation installation;
  if (*GetParam().config != '\0') installation.write("bad", "config.json", GetParam().config);
  if (*GetParam().tf != '\0') installation.write("bad", "main.tf", GetParam().tf);
  installation.add_workspace("good", {{"deploy_schedule", false}});
  const auto checked = installation.command({"workspace", "validate", "bad"});
  EXPECT_EQ(checked.code, 1);
  EXPECT_TRUE(holds(checked.out, GetParam().reason)) << checked.out << checked.err;
  installation.start();
  ASSERT_TRUE(eventually(60s, [&] {
    return installation.command({"workspace", "show", "good"}).code == 0;
  })) << installation.log();
  const auto refused = installation.command({"workspace", "deploy", "bad"});
  EXPECT_EQ(refused.code, 3);
  EXPECT_TRUE(holds(refused.err, GetParam().reason)) << refused.err;
  EXPECT_EQ(installation.command({"workspace", "deploy", "good"}).code, 0) << installation.log();
}

constexpr const char* kContent = "resource \"terraform_data\" \"one\" {}\n";

INSTANTIATE_TEST_SUITE_P(
    Table, ABadFolder,
    ::testing::Values(
        BadFolder{"HalfAConfig", R"({"deploy_schedule": )", kContent, "workspaces/bad/config.json"},
        BadFolder{"AWrongType", R"({"enabled": "maybe"})", kContent, "enabled"},
        BadFolder{"OneBadCronOfTwo", R"({"deploy_schedule": ["0 1 * * *", "75 * * * *"]})",
                  kContent, "deploy_schedule[1]: minute 75 is outside 0-59"},
        BadFolder{"AnUnknownZone", R"({"timezone": "Mars/Base"})", kContent, "Mars/Base"},
        BadFolder{"AScheduleThatIsTrue", R"({"destroy_schedule": true})", kContent,
                  "destroy_schedule"},
        BadFolder{"NoContent", R"({"deploy_schedule": false})", "", "template"},
        BadFolder{"AModuleOutside", R"({"deploy_schedule": false})",
                  "module \"vpc\" {\n  source = \"../../../vpc\"\n}\n", "main.tf:2"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Usage, ATenMegabyteConfigIsRefusedByItsSize) {
  Installation installation;
  installation.write("bad", "config.json",
                     "{\"description\": \"" + std::string(10 << 20, 'x') + "\"}");
  installation.write("bad", "main.tf", kContent);
  const auto checked = installation.command({"workspace", "validate", "bad"});
  EXPECT_EQ(checked.code, 1);
  EXPECT_TRUE(holds(checked.out, "config.json")) << checked.out.substr(0, 500);
  EXPECT_LT(checked.out.size(), 1000u);
}

TEST(Usage, AnUnreadableFileIsNamed) {
  Installation installation;
  installation.write("bad", "config.json", "{}");
  installation.write("bad", "main.tf", kContent);
  const auto file = installation.workspace_dir("bad") / "main.tf";
  if (geteuid() == 0) {  // may read everything but what leads nowhere
    std::filesystem::remove(file);
    std::filesystem::create_symlink("gone.tf", file);
  } else {
    std::filesystem::permissions(file, std::filesystem::perms::none);
  }
  const auto checked = installation.command({"workspace", "validate", "bad"});
  EXPECT_EQ(checked.code, 1) << checked.out;
  EXPECT_TRUE(holds(checked.out, "main.tf")) << checked.out;
}

TEST(Usage, ANameWithASlashIsRefusedWithTheReason) {
  for (const char* verb : {"deploy", "validate", "show"}) {
    const auto refused = run({"workspace", verb, "a/b"});
    EXPECT_EQ(refused.code, 2);
    EXPECT_TRUE(holds(refused.err, "contains '/'")) << refused.err;
  }
}

}  // namespace
}  // namespace provisioner::testing
