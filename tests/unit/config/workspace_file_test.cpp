#include "config/workspace_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

const std::string kFile = "workspaces/shop/config.json";

Result<ParsedWorkspace> parse(std::string_view json) {
  return parse_workspace(WorkspaceName("shop"), json, kFile);
}

WorkspaceSpec spec_of(std::string_view json) {
  auto parsed = parse(json);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? std::move(parsed->spec) : WorkspaceSpec{};
}

std::string error_of(std::string_view json) {
  const auto parsed = parse(json);
  EXPECT_FALSE(parsed) << json;
  if (parsed) return "";
  EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
  return parsed.error().message;
}

TEST(WorkspaceFile, AnEmptyObjectIsAnEnabledWorkspaceThatFiresNothing) {
  const auto spec = spec_of("{}");
  EXPECT_EQ(spec.name.value, "shop");
  EXPECT_TRUE(spec.enabled);
  EXPECT_THAT(spec.rules, IsEmpty());
  EXPECT_EQ(spec.timezone, std::nullopt);
  EXPECT_EQ(spec.catch_up, CatchUp::kLatest);
  EXPECT_EQ(spec.on_change, OnChange::kRedeploy);
  EXPECT_EQ(spec.dst, DstPolicy{});
  EXPECT_EQ(spec.timeout, Duration(60min));
}

TEST(WorkspaceFile, EveryFieldReachesTheSpec) {
  const auto spec = spec_of(R"({
    "enabled": false, "template": "web-app", "name": "shop", "description": "the shop",
    "deploy_schedule": ["0 7 * * MON-FRI", "0 9 * * SAT"], "destroy_schedule": "0 19 * * *",
    "timezone": "Europe/Zurich", "dst": {"gap": "skip", "overlap": "both"}, "catch_up": "none",
    "custom_deploy": {"init_command": "make init", "plan_command": "make plan",
                      "apply_command": "make apply"},
    "custom_destroy": {"init_command": "make init", "destroy_command": "make destroy"},
    "variables": {"size": 3, "zones": ["a", "b"], "password": {"env": "DB_PASSWORD"},
                  "key": {"file": "/run/secrets/key"}, "map": {"env": "x", "tier": 1}},
    "environment": {"AWS_REGION": "eu-central-1", "TOKEN": {"env": "SHOP_TOKEN"}},
    "include": ["../../modules", "../shared/"], "depends_on": ["network", "dns", "network"],
    "on_change": "next_schedule", "ttl": "4h", "timeout": "1h30m",
    "tags": ["web", "eu"]})");
  EXPECT_FALSE(spec.enabled);
  EXPECT_EQ(spec.template_name, "web-app");
  EXPECT_EQ(spec.description, "the shop");
  ASSERT_EQ(spec.rules.size(), 3u);
  EXPECT_EQ(spec.rules[0].label, "deploy_schedule[0]");
  EXPECT_EQ(spec.rules[1].cron.text(), "0 9 * * SAT");
  EXPECT_EQ(spec.rules[2].label, "destroy_schedule");
  EXPECT_EQ(spec.rules[2].action, Action::kDestroy);
  EXPECT_EQ(spec.timezone, "Europe/Zurich");
  EXPECT_EQ(spec.dst, (DstPolicy{DstPolicy::Gap::kSkip, DstPolicy::Overlap::kBoth}));
  EXPECT_EQ(spec.catch_up, CatchUp::kNone);
  EXPECT_EQ(spec.commands.deploy_plan, "make plan");
  EXPECT_EQ(spec.commands.destroy_destroy, "make destroy");
  using Source = ConfigValue::Source;
  EXPECT_EQ(spec.variables.at("size"), (ConfigValue{Source::kLiteral, "3"}));
  EXPECT_EQ(spec.variables.at("zones"), (ConfigValue{Source::kLiteral, R"(["a","b"])"}));
  EXPECT_EQ(spec.variables.at("password"), (ConfigValue{Source::kEnv, "DB_PASSWORD"}));
  EXPECT_EQ(spec.variables.at("key"), (ConfigValue{Source::kFile, "/run/secrets/key"}));
  EXPECT_EQ(spec.variables.at("map"), (ConfigValue{Source::kLiteral, R"({"env":"x","tier":1})"}));
  EXPECT_EQ(spec.environment.at("AWS_REGION"),
            (ConfigValue{Source::kLiteral, R"("eu-central-1")"}));
  EXPECT_THAT(spec.include, ElementsAre("../../modules", "../shared/"));
  EXPECT_THAT(spec.depends_on, ElementsAre(WorkspaceName("network"), WorkspaceName("dns")));
  EXPECT_EQ(spec.on_change, OnChange::kNextSchedule);
  EXPECT_EQ(spec.ttl, Duration(4h));
  EXPECT_EQ(spec.timeout, Duration(90min));
  EXPECT_THAT(spec.tags, ElementsAre("web", "eu"));
}

TEST(WorkspaceFile, ModesAreDeployRules) {
  const auto spec = spec_of(R"({"deploy_schedule": false,
    "mode_schedules": {"busy": ["0 8 * * MON-FRI", "0 10 * * SAT"], "quiet": "0 18 * * *",
                       "never": false},
    "destroy_schedule": "0 23 * * *"})");
  ASSERT_EQ(spec.rules.size(), 4u);
  EXPECT_EQ(spec.rules[1].label, "mode_schedules.busy[1]");
  EXPECT_EQ(spec.rules[2].mode, "quiet");
  EXPECT_THAT(spec.modes(), ElementsAre("busy", "quiet"));
}

TEST(WorkspaceFile, EveryErrorNamesFileFieldAndReason) {
  const struct {
    const char* json;
    const char* reason;
  } cases[] = {
      {R"({"deploy_schedule": ["0 7 * * *", "75 7 * * *"]})",
       "deploy_schedule[1]: minute 75 is outside 0-59"},
      {R"({"destroy_schedule": true})",
       "destroy_schedule: true is not a schedule: write a cron expression such as \"0 18 * * "
       "MON-FRI\", an array of them, or false for never"},
      {R"({"deploy_schedule": 5})",
       "deploy_schedule: expected a cron expression, an array of them or false, found a number"},
      {R"({"deploy_schedule": ["0 7 * * *", false]})",
       "deploy_schedule[1]: expected a cron expression, found false"},
      {R"({"deploy_schedule": "0 7 * * *", "mode_schedules": {"busy": "0 8 * * *"}})",
       "mode_schedules: excludes deploy_schedule: keep one of them (deploy_schedule may be false)"},
      {R"({"mode_schedules": ["0 8 * * *"]})",
       "mode_schedules: expected an object such as {\"busy\": \"0 8 * * MON-FRI\"}, found an "
       "array"},
      {R"({"mode_schedules": {"a b": "0 8 * * *"}})",
       "mode_schedules.a b: a mode's name begins with a letter or digit and holds letters, digits, "
       "'.', '_' and '-'"},
      {R"({"enabled": "yes"})", "enabled: expected true or false, found a string"},
      {R"({"name": "store"})",
       "name: \"store\" differs from the folder's name \"shop\": rename one of them, or remove the "
       "field"},
      {R"({"dst": "skip"})",
       "dst: expected an object such as {\"gap\": \"shift\", \"overlap\": \"first\"}, found a "
       "string"},
      {R"({"dst": {"gap": "jump"}})", "dst.gap: expected \"shift\" or \"skip\", found \"jump\""},
      {R"({"dst": {"overlap": 2}})",
       "dst.overlap: expected \"first\", \"last\" or \"both\", found a number"},
      {R"({"catch_up": "all"})", "catch_up: expected \"latest\" or \"none\", found \"all\""},
      {R"({"on_change": "deploy"})",
       "on_change: expected \"redeploy\", \"next_schedule\", \"ignore\" or \"force\", found "
       "\"deploy\""},
      {R"({"custom_deploy": "make"})",
       "custom_deploy: expected an object of commands, found a string"},
      {R"({"custom_deploy": {"apply_command": ["make"]}})",
       "custom_deploy.apply_command: expected a string, found an array"},
      {R"({"variables": ["a"]})",
       "variables: expected an object of names and values, found an array"},
      {R"({"variables": {"a b": 1}})",
       "variables.a b: is not a variable name that tofu accepts (letters, digits, _ and -)"},
      {R"({"variables": {"key": {"file": "key.pem"}}})",
       "variables.key: \"key.pem\": write the absolute path of a file outside the workspace's "
       "folder, "
       "whose content others may read"},
      {R"({"variables": {"key": {"env": 1}}})",
       "variables.key: {\"env\": ...} refers to a secret and takes a variable's name"},
      {R"({"environment": {"A": 1}})",
       "environment.A: expected a string, {\"env\": \"NAME\"} or {\"file\": \"/path\"}, found a "
       "number"},
      {R"({"environment": {"A": "x\u0000y"}})", "environment.A: holds a NUL character"},
      {R"({"environment": {"TF_DATA_DIR": "x"}})",
       "environment.TF_DATA_DIR: is set by the daemon itself: remove it"},
      {R"({"mode_schedules": {"a": "0 8 * * *"}, "variables": {"deployment_mode": "a"}})",
       "variables.deployment_mode: is set by the mode of mode_schedules"},
      {R"({"include": "../modules"})",
       "include: expected an array of strings (write [\"...\"]), found a string"},
      {R"({"include": ["/srv/modules"]})",
       "include[0]: write a path relative to the workspace's folder, such as \"../../modules\""},
      {R"({"include": ["modules/../x"]})",
       "include[0]: lies inside the workspace's folder, which is content anyway"},
      {R"({"include": ["../modules", "../.."]})",
       "include[1]: contains the workspace's folder itself: name the folder beside it that belongs "
       "to "
       "the content"},
      {R"({"depends_on": ["shop"]})", "depends_on[0]: is the workspace itself"},
      {R"({"depends_on": [7]})", "depends_on[0]: expected a string, found a number"},
      {R"({"ttl": 30})", "ttl: expected a duration such as \"30m\" or \"1h30m\", found a number"},
      {R"({"ttl": "0s"})", "ttl: must be longer than 0s"},
      {R"({"timeout": "8d"})", "timeout: must be at most 7d"},
      {R"({"template": "../etc"})", "template: \"../etc\" is not a template's name"},
      {R"({"jobs": {"a": 1}})", "jobs: expected an array, found an object"},
      {R"({"variables": {"a": 1, "b": {"c": 1, "c": 2}}})", "variables: b: \"c\" appears twice"},
      {R"({"enabled": true, "enabled": false})", "\"enabled\" appears twice"},
      {"[]", "expected an object ({...}), found an array"},
  };
  for (const auto& c : cases) EXPECT_EQ(error_of(c.json), kFile + ": " + c.reason) << c.json;
}

TEST(WorkspaceFile, AllProblemsOfAFileAreToldAtOnce) {
  EXPECT_EQ(error_of(R"({"enabled": 1, "ttl": "soon", "timezone": "Europe/Zürich"})")
                .find(kFile + ": enabled: expected true or false, found a number\n" + kFile),
            0u);
}

TEST(WorkspaceFile, SyntaxErrorsHaveLineAndColumn) {
  EXPECT_THAT(error_of("{\n  \"enabled\": true,\n}"),
              StartsWith(kFile + ": line 3, column 1: syntax error"));
  EXPECT_THAT(error_of(""), StartsWith(kFile + ": line 1, column 1: "));
  EXPECT_THAT(error_of("{\"description\": \"\xff\"}"), HasSubstr("line 1, column "));
}

TEST(WorkspaceFile, UnknownZonesNameTheNearest) {
  EXPECT_THAT(error_of(R"({"timezone": "Europe/Zurch"})"), HasSubstr("Europe/Zurich"));
}

TEST(WorkspaceFile, UnknownFieldsAreWarningsThatNameTheNearest) {
  const auto parsed =
      parse(R"({"destory_schedule": false, "zzzzzzzz": 1, "dst": {"gapp": "skip"}})");
  ASSERT_TRUE(parsed);
  EXPECT_THAT(
      parsed->warnings,
      ElementsAre(kFile + ": unknown field \"destory_schedule\" is ignored; did you mean "
                          "\"destroy_schedule\"?",
                  kFile + ": unknown field \"zzzzzzzz\" is ignored",
                  kFile + ": dst: unknown field \"gapp\" is ignored; did you mean \"gap\"?"));
}

TEST(WorkspaceFile, WhatWillNotHappenIsSaid) {
  EXPECT_THAT(parse(R"({"destroy_schedule": ""})")->warnings,
              ElementsAre(kFile + ": destroy_schedule: is empty and counts as false (never)"));
  EXPECT_THAT(
      parse(R"({"environment": {"TF_CLI_ARGS_plan": "-x", "TF_HTTP_ADDRESS": "y"}})")->warnings,
      ElementsAre(kFile + ": environment.TF_CLI_ARGS_plan: changes how tofu is called: runs may "
                          "fail in ways that are hard to understand"));
  // Nobody would be warned, and the file must not promise it.
  EXPECT_THAT(parse(R"({"ttl": "1h", "warn_before": "5m"})")->warnings,
              ElementsAre(::testing::HasSubstr("warn_before")));
}

TEST(WorkspaceFile, DeployAndDestroyAtOneInstantIsAWarning) {
  const auto parsed =
      parse(R"({"deploy_schedule": "0 8 * * *", "destroy_schedule": "0 8 * * MON"})");
  ASSERT_TRUE(parsed) << parsed.error().message;
  ASSERT_EQ(parsed->warnings.size(), 1u);
  EXPECT_THAT(parsed->warnings[0], StartsWith(kFile + ": "));
}

TEST(WorkspaceFile, AModeThatNeverWinsIsAnError) {
  EXPECT_THAT(error_of(R"({"mode_schedules": {"busy": "0 8 * * *", "quiet": "0 8 * * *"}})"),
              StartsWith(kFile + ": "));
}

TEST(WorkspaceFile, AHugeFileIsRefused) {
  const std::string text = "{\"description\": \"" + std::string(10 * 1024 * 1024, 'x') + "\"}";
  EXPECT_EQ(error_of(text),
            kFile + ": 10.0 MB are too much for a configuration: at most 1 MB is read");
}

TEST(WorkspaceFile, DeepNestingIsRefused) {
  const std::string text =
      "{\"variables\": {\"a\": " + std::string(1000, '[') + std::string(1000, ']') + "}}";
  EXPECT_EQ(error_of(text), kFile + ": more than 64 levels of nesting");
}

TEST(WorkspaceFile, TheNormalisedTextParsesToTheSame) {
  const auto first = parse(R"({ "variables": {"b": 1.50, "a": "ü"},
                               "deploy_schedule": "0 7 * * *"})");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->normalised_json,
            R"({"deploy_schedule":"0 7 * * *","variables":{"a":"ü","b":1.5}})");
  const auto second = parse(first->normalised_json);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->normalised_json, first->normalised_json);
  EXPECT_EQ(second->inputs_hash, first->inputs_hash);
  EXPECT_EQ(second->schedule_hash, first->schedule_hash);
}

TEST(WorkspaceFile, OnlyWhatReachesTofuChangesTheInputs) {
  const std::string base = R"("deploy_schedule": "0 7 * * *")";
  const auto before = parse("{" + base + "}");
  const auto differs = [&](const std::string& more) {
    const auto after = parse("{" + base + ", " + more + "}");
    EXPECT_TRUE(after) << after.error().message;
    return after->inputs_hash != before->inputs_hash;
  };
  for (const char* field :
       {R"("variables": {"a": 1})", R"("environment": {"A": "1"})", R"("template": "web")",
        R"("custom_deploy": {"plan_command": "x"})",
        R"("custom_destroy": {"destroy_command": "x"})", R"("include": ["../shared"])"}) {
    EXPECT_TRUE(differs(field)) << field;
  }
  for (const char* field :
       {R"("destroy_schedule": "0 9 * * *")", R"("description": "x")", R"("enabled": false)",
        R"("timezone": "UTC")", R"("ttl": "1h")", R"("timeout": "5m")", R"("tags": ["x"])",
        R"("depends_on": ["x"])", R"("on_change": "force")",
        R"("jobs": [{"name": "a", "command": "true", "schedule": "@deployment"}])"}) {
    EXPECT_FALSE(differs(field)) << field;
  }
}

TEST(WorkspaceFile, OnlyWhatDecidesWhenItFiresChangesTheSchedule) {
  const std::string base = R"("deploy_schedule": "0 7 * * *")";
  const auto before = parse("{" + base + "}");
  const auto differs = [&](const std::string& more) {
    return parse("{" + base + ", " + more + "}")->schedule_hash != before->schedule_hash;
  };
  for (const char* field :
       {R"("destroy_schedule": "0 9 * * *")", R"("enabled": false)", R"("timezone": "UTC")",
        R"("dst": {"gap": "skip"})", R"("dst": {"overlap": "last"})", R"("catch_up": "none")"}) {
    EXPECT_TRUE(differs(field)) << field;
  }
  for (const char* field :
       {R"("enabled": true)", R"("dst": {})", R"("description": "x")", R"("variables": {"a": 1})",
        R"("ttl": "1h")", R"("jobs": [{"name": "a", "command": "x", "schedule": "@daily"}])"}) {
    EXPECT_FALSE(differs(field)) << field;
  }
}

TEST(WorkspaceFile, FilesOfThePredecessorLoadUnchanged) {
  const auto parsed = parse(R"({
    "enabled": true,
    "template": "",
    "deploy_schedule": ["0 7 * * 1,3,5", "0 8 * * 2,4"],
    "destroy_schedule": false,
    "custom_deploy": {"init_command": "tofu init -upgrade", "plan_command": "",
                      "apply_command": "tofu apply -auto-approve"},
    "custom_destroy": {"destroy_command": "tofu destroy -auto-approve"},
    "jobs": [{"name": "backup", "type": "script", "schedule": "@deployment",
              "script": "#!/bin/bash\necho hi", "environment": {"A": "b"}, "timeout": "30m",
              "enabled": true, "description": "nightly"}],
    "description": "My workspace"})");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->spec.rules.size(), 2u);
  EXPECT_EQ(parsed->spec.template_name, std::nullopt);
  EXPECT_EQ(parsed->spec.commands.deploy_plan, std::nullopt);
  EXPECT_EQ(parsed->spec.jobs.at(0).events, (std::set{JobEvent::kDeployment}));
}

WorkspaceSpec depending(const char* name, std::vector<WorkspaceName> needs) {
  WorkspaceSpec spec;
  spec.name = WorkspaceName(name);
  spec.depends_on = std::move(needs);
  return spec;
}

TEST(Dependencies, CirclesAndMissingWorkspacesAreNamed) {
  const WorkspaceName a("a"), b("b"), c("c"), d("d"), ghost("ghost");
  const auto problems = find_dependency_problems(
      {depending("a", {b, d}), depending("b", {c}), depending("c", {a}), depending("d", {ghost})});
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[0].workspace, c);
  EXPECT_EQ(problems[0].message, "depends_on goes round in a circle: a -> b -> c -> a");
  EXPECT_EQ(problems[1].workspace, d);
  EXPECT_EQ(problems[1].message, "depends_on names \"ghost\", which is no workspace");
}

TEST(Dependencies, ADiamondIsNoCircle) {
  const WorkspaceName b("b"), c("c"), d("d");
  EXPECT_THAT(find_dependency_problems({depending("a", {b, c}), depending("b", {d}),
                                        depending("c", {d}), depending("d", {})}),
              IsEmpty());
}

}  // namespace
}  // namespace provisioner
