#include "config/job_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/placeholders.hpp"
#include "model/job_order.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kFile = "workspaces/shop/config.json";
const std::string kStandaloneFile = "jobs/backup.json";

Result<ParsedWorkspace> parse(std::string_view json) {
  return parse_workspace(WorkspaceName("shop"), json, kFile);
}

Result<ParsedWorkspace> parse_jobs(std::string_view jobs) {
  return parse("{\"jobs\": [" + std::string(jobs) + "]}");
}

Result<ParsedWorkspace> parse_standalone(std::string_view json) {
  return parse_standalone_job(JobName("backup"), json, kStandaloneFile);
}

std::vector<JobSpec> jobs_of(std::string_view jobs) {
  auto parsed = parse_jobs(jobs);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? std::move(parsed->spec.jobs) : std::vector<JobSpec>(1);
}

std::string message_of(const Result<ParsedWorkspace>& parsed) {
  return parsed ? "accepted" : parsed.error().message;
}

TEST(JobFields, EveryFieldReachesTheJob) {
  const auto job = jobs_of(R"({"name": "backup", "type": "script", "script": "#!/bin/sh\ntrue",
    "schedule": ["0 2 * * *", "@deployment", "@daily"], "environment": {"A": "b",
    "TOKEN": {"env": "BACKUP_TOKEN"}}, "working_dir": "./scripts/", "timeout": "1h30m",
    "enabled": false, "description": "nightly", "overlap": "queue", "catch_up": "all",
    "catch_up_window": "2h", "tags": ["x"]})")
                       .at(0);
  EXPECT_EQ(job.name.value, "backup");
  EXPECT_EQ(job.type, JobType::kScript);
  EXPECT_EQ(job.body, "#!/bin/sh\ntrue");
  ASSERT_EQ(job.rules.size(), 2u);
  EXPECT_EQ(job.rules[0].label, "jobs.backup.schedule[0]");
  EXPECT_EQ(job.rules[0].action, Action::kRun);
  EXPECT_EQ(job.rules[1].label, "jobs.backup.schedule[2]");
  EXPECT_THAT(job.events, ElementsAre(JobEvent::kDeployment));
  EXPECT_EQ(job.environment.at("TOKEN").source, ConfigValue::Source::kEnv);
  EXPECT_EQ(job.working_dir, "scripts");
  EXPECT_EQ(job.timeout, Duration(90min));
  EXPECT_FALSE(job.enabled);
  EXPECT_EQ(job.description, "nightly");
  EXPECT_EQ(job.overlap, Overlap::kQueue);
  EXPECT_EQ(job.catch_up, JobCatchUp::kAll);
  EXPECT_EQ(job.catch_up_window, Duration(2h));
  EXPECT_THAT(job.tags, ElementsAre("x"));
}

TEST(JobFields, ACommandAloneIsAJobThatRunsByHand) {
  const auto job = jobs_of(R"({"name": "a", "command": "make backup"})").at(0);
  EXPECT_EQ(job.type, JobType::kCommand);
  EXPECT_EQ(job.body, "make backup");
  EXPECT_THAT(job.rules, IsEmpty());
  EXPECT_THAT(job.events, IsEmpty());
  EXPECT_EQ(job.timeout, Duration(30min));
  EXPECT_TRUE(job.enabled);
  EXPECT_EQ(job.overlap, Overlap::kSkip);
  EXPECT_EQ(job.catch_up, JobCatchUp::kLatest);
}

TEST(JobFields, OneScheduleIsACronExpressionOrAnEvent) {
  const auto jobs = jobs_of(R"({"name": "a", "command": "x", "schedule": "*/5 * * * *"},
                               {"name": "b", "command": "x", "schedule": "@destroy-failed"},
                               {"name": "c", "command": "x", "schedule": false})");
  EXPECT_EQ(jobs[0].rules.at(0).label, "jobs.a.schedule");
  EXPECT_THAT(jobs[1].events, ElementsAre(JobEvent::kDestroyFailed));
  EXPECT_THAT(jobs[1].rules, IsEmpty());
  EXPECT_THAT(jobs[2].rules, IsEmpty());
}

TEST(JobFields, EveryErrorNamesFileFieldAndReason) {
  const struct {
    const char* jobs;
    const char* reason;
  } cases[] = {
      {R"("x")", "jobs[0]: expected an object, found a string"},
      {R"({"type": "script", "script": "x"})", "jobs[0]: has no name"},
      {R"({"name": "a b", "command": "x"})",
       "jobs[0].name: job name \"a b\" contains byte 0x20: rename it with letters, digits, '.', "
       "'_' and '-' only"},
      {R"({"name": "a", "command": "x"}, {"name": "a", "command": "x"})",
       "jobs[1].name: another job is called \"a\""},
      {R"({"name": "a"})",
       "jobs[0]: does nothing: give it a \"command\", a \"script\" or a \"template\""},
      {R"({"name": "a", "type": "script", "command": "x"})",
       "jobs[0]: is a script job without a \"script\""},
      {R"({"name": "a", "script": "x", "command": "x"})",
       "jobs[0]: has both \"script\" and \"command\": keep one of them"},
      {R"({"name": "a", "type": "shell", "command": "x"})",
       "jobs[0].type: expected \"script\", \"command\" or \"template\", found \"shell\""},
      {R"({"name": "a", "script": " "})", "jobs[0].script: is empty"},
      {R"({"name": "a", "template": "../x"})",
       "jobs[0].template: \"../x\" is not a template's name"},
      {R"({"name": "a", "command": "x", "schedule": ["0 7 * * *", "75 7 * * *"]})",
       "jobs[0].schedule[1]: minute 75 is outside 0-59"},
      {R"({"name": "a", "command": "x", "schedule": [7]})",
       "jobs[0].schedule[0]: expected a cron expression or an event such as \"@deployment\", "
       "found a number"},
      {R"({"name": "a", "command": "x", "schedule": {}})",
       "jobs[0].schedule: expected a cron expression, an event such as \"@deployment\", an array "
       "of them or false, found an object"},
      {R"({"name": "a", "template": "db", "schedule": "@destroy"})",
       "jobs[0].schedule: @destroy is not for template jobs: they are destroyed before their "
       "workspace"},
      {R"({"name": "a", "command": "x", "enabled": "no"})",
       "jobs[0].enabled: expected true or false, found a string"},
      {R"({"name": "a", "command": "x", "environment": {"JOB_NAME": "x"}})",
       "jobs[0].environment.JOB_NAME: is set by the daemon itself: remove it"},
      {R"({"name": "a", "command": "x", "environment": {"A": 1}})",
       "jobs[0].environment.A: expected a string, {\"env\": \"NAME\"} or {\"file\": \"/path\"}, "
       "found a number"},
      {R"({"name": "a", "command": "x", "environment": {"A": "{{workspace}}"}})",
       "jobs[0].environment.A: there is no placeholder {{workspace}}, there are workspace_name, "
       "job_name, run_id, mode, trigger; a script may hold any text"},
      {R"({"name": "a", "command": "echo {{ workspace_nam }}"})",
       "jobs[0].command: there is no placeholder {{workspace_nam}}; did you mean "
       "{{workspace_name}}?"},
      {R"({"name": "a", "command": "x", "working_dir": "/srv"})",
       "jobs[0].working_dir: write a path relative to the workspace's folder"},
      {R"({"name": "a", "command": "x", "working_dir": "x/../../y"})",
       "jobs[0].working_dir: leads out of the workspace's folder (\"..\")"},
      {R"({"name": "a", "command": "x", "timeout": "8d"})", "jobs[0].timeout: must be at most 7d"},
      {R"({"name": "a", "command": "x", "timeout": 30})",
       "jobs[0].timeout: expected a duration such as \"30m\" or \"1h30m\", found a number"},
      {R"({"name": "a", "command": "x", "overlap": "wait"})",
       "jobs[0].overlap: expected \"skip\", \"queue\" or \"allow\", found \"wait\""},
      {R"({"name": "a", "template": "x", "overlap": "allow"})",
       "jobs[0].overlap: \"allow\" is not for template jobs, whose runs share one state"},
      {R"({"name": "a", "command": "x", "catch_up": "some"})",
       "jobs[0].catch_up: expected \"latest\", \"all\" or \"none\", found \"some\""},
      {R"({"name": "a", "command": "x", "catch_up": "all", "catch_up_window": "8d"})",
       "jobs[0].catch_up_window: must be at most 7d"},
      {R"({"name": "a", "command": "x", "tags": "x"})",
       "jobs[0].tags: expected an array of strings (write [\"...\"]), found a string"},
      {R"({"name": "a", "command": "x", "depends_on": ["a"]})",
       "jobs[0].depends_on[0]: is the job itself"},
      {R"({"name": "backup", "command": "x"}, {"name": "b", "command": "x",
          "depends_on": ["bakup"]})",
       "jobs[1].depends_on[0]: no job of this file is called \"bakup\"; did you mean \"backup\"?"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(message_of(parse_jobs(c.jobs)), kFile + ": " + c.reason) << c.jobs;
  }
}

TEST(JobFields, ACircleIsNamed) {
  const char* job = R"({"name": "%s", "command": "x", "schedule": "@deployment",
                        "depends_on": ["%s"]})";
  std::string jobs = R"({"name": "first", "command": "x", "schedule": "@deployment"})";
  for (const auto& [name, needed] :
       {std::pair{"a", "b"}, {"b", "c"}, {"c", "a"}, {"behind", "a"}}) {
    char text[256];
    std::snprintf(text, sizeof text, job, name, needed);
    jobs += std::string(", ") + text;
  }
  EXPECT_EQ(message_of(parse_jobs(jobs)),
            kFile + ": jobs: depends_on goes round in a circle: a -> b -> c -> a");
}

TEST(JobFields, WhatHasNoEffectIsSaid) {
  const auto parsed = parse_jobs(R"(
    {"name": "a", "command": "x", "script": null, "template": "y", "type": "command",
     "schedule": ["@deployment", "@deployment", ""], "catch_up_window": "1h", "retries": 3},
    {"name": "b", "command": "x", "schedule": "@destroy", "depends_on": ["a"]})");
  ASSERT_TRUE(parsed) << parsed.error().message;
  const auto in_file = [](const char* sentence) { return kFile + ": " + sentence; };
  EXPECT_THAT(
      parsed->warnings,
      ElementsAre(in_file("jobs[0]: unknown field \"retries\" is ignored"),
                  in_file("jobs[0].template: is ignored: this is a command job"),
                  in_file("jobs[0].schedule[1]: names @deployment once more"),
                  in_file("jobs[0].schedule[2]: is empty and counts as false (only by hand)"),
                  in_file("jobs[0].catch_up_window: has no effect without \"catch_up\": \"all\""),
                  in_file("jobs[1].depends_on[0]: has no effect: \"b\" and \"a\" wait for no "
                          "common event, and only jobs of one event are ordered")));
}

TEST(JobFields, TheTemplatesOfOtherToolsAreText) {
  const auto jobs =
      jobs_of(R"({"name": "a", "command": "docker ps --format '{{.Names}} {{ a | b }}'"},
                               {"name": "b", "script": "echo {{anything}}"})");
  EXPECT_EQ(jobs[0].body, "docker ps --format '{{.Names}} {{ a | b }}'");
}

TEST(JobFields, ARunIsGivenItsOwnJobAndWhatReachesIt) {
  const auto parsed = parse(R"({"deploy_schedule": "0 7 * * *", "description": "a shop",
    "environment": {"REGION": "eu", "KEY": {"env": "SHOP_KEY"}}, "variables": {"size": 3},
    "jobs": [{"name": "a", "command": "x", "schedule": "@deployment", "description": "d",
              "environment": {"A": "1"}, "timeout": "5m", "working_dir": "s", "tags": ["t"],
              "overlap": "allow"},
             {"name": "b", "command": "x", "schedule": "@deployment", "depends_on": ["a"]},
             {"name": "c", "template": "db", "schedule": "@deployment"}]})");
  ASSERT_TRUE(parsed) << parsed.error().message;
  const auto& jobs = parsed->spec.jobs;
  EXPECT_EQ(jobs[0].definition,
            R"({"environment":{"KEY":{"env":"SHOP_KEY"},"REGION":"eu"},"jobs":[{"command":"x",)"
            R"("environment":{"A":"1"},"name":"a","timeout":"5m","working_dir":"s"}]})");
  EXPECT_THAT(jobs[2].definition, HasSubstr(R"("variables":{"size":3})"));
  for (const auto& job : jobs) {
    const auto again = parse(job.definition);
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_EQ(again->spec.jobs.size(), 1u);
    EXPECT_EQ(again->spec.jobs[0].name, job.name);
    EXPECT_EQ(again->spec.jobs[0].body, job.body);
    EXPECT_EQ(again->spec.jobs[0].timeout, job.timeout);
    EXPECT_EQ(again->spec.jobs[0].definition, job.definition);
  }
}

TEST(JobFields, OnlyWhatDecidesWhenItRunsChangesTheScheduleOfAJob) {
  const auto hash_of = [](const std::string& more, const std::string& around = "") {
    const auto parsed = parse("{" + around + R"("jobs": [{"name": "a", "command": "x", )" +
                              R"("schedule": ["0 7 * * *"])" + more + "}]}");
    EXPECT_TRUE(parsed) << parsed.error().message;
    return parsed->spec.jobs[0].schedule_hash;
  };
  const auto before = hash_of("");
  for (const char* more : {R"(, "enabled": false)", R"(, "catch_up": "none")"}) {
    EXPECT_NE(hash_of(more), before) << more;
  }
  EXPECT_NE(hash_of(R"(, "catch_up": "all")"),
            hash_of(R"(, "catch_up": "all", "catch_up_window": "1h")"));
  for (const char* around : {R"("timezone": "Asia/Tokyo",)", R"("dst": {"gap": "skip"},)"}) {
    EXPECT_NE(hash_of("", around), before) << around;
  }
  for (const char* more : {R"(, "description": "d")", R"(, "timeout": "1m")", R"(, "tags": ["x"])",
                           R"(, "environment": {"A": "1"})", R"(, "overlap": "queue")"}) {
    EXPECT_EQ(hash_of(more), before) << more;
  }
}

TEST(JobOrder, WhoeverWaitsStandsBehindAndElseTheFileCounts) {
  const auto jobs = jobs_of(R"(
    {"name": "last", "command": "x", "schedule": "@deployment", "depends_on": ["left", "right"]},
    {"name": "right", "command": "x", "schedule": "@deployment", "depends_on": ["first"]},
    {"name": "first", "command": "x", "schedule": "@deployment"},
    {"name": "left", "command": "x", "schedule": "@deployment", "depends_on": ["first"]},
    {"name": "alone", "command": "x"})");
  EXPECT_THAT(order_of(jobs).positions, ElementsAre(3, 1, 0, 2, 4));
  EXPECT_EQ(order_of(jobs).circle, "");
}

TEST(StandaloneJob, IsAWorkspaceOfItsOwnThatHoldsOneJob) {
  const auto parsed = parse_standalone(R"({"command": "backup --all", "schedule": ["@reboot",
    "30 2 * * *"], "timezone": "Europe/Zurich", "dst": {"gap": "skip"},
    "working_dir": "/srv/{{job_name}}", "environment": {"A": "{{workspace_name}}"}})");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_THAT(parsed->warnings, IsEmpty());
  const auto& spec = parsed->spec;
  EXPECT_EQ(spec.name, home_of(JobName("backup")));
  EXPECT_TRUE(spec.enabled);
  EXPECT_THAT(spec.rules, IsEmpty());
  EXPECT_EQ(spec.timezone, "Europe/Zurich");
  EXPECT_EQ(spec.dst.gap, DstPolicy::Gap::kSkip);
  ASSERT_EQ(spec.jobs.size(), 1u);
  EXPECT_EQ(spec.jobs[0].name.value, "backup");
  EXPECT_EQ(spec.jobs[0].working_dir, "/srv/{{job_name}}");
  EXPECT_EQ(spec.jobs[0].rules.at(0).label, "jobs.backup.schedule[1]");
  EXPECT_THAT(spec.jobs[0].events, ElementsAre(JobEvent::kReboot));
}

TEST(StandaloneJob, ItsNormalisedTextIsThatOfAWorkspace) {
  const auto first = parse_standalone(
      R"({"timezone": "UTC", "command": "x", "schedule": "@daily", "enabled": false})");
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_FALSE(first->spec.jobs.at(0).enabled);
  const auto second = parse_workspace(first->spec.name, first->normalised_json, "again");
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->normalised_json, first->normalised_json);
  EXPECT_EQ(second->spec.jobs.at(0).definition, first->spec.jobs[0].definition);
  EXPECT_EQ(second->spec.jobs[0].schedule_hash, first->spec.jobs[0].schedule_hash);
}

TEST(StandaloneJob, EveryErrorNamesFileFieldAndReason) {
  const struct {
    const char* json;
    const char* reason;
  } cases[] = {
      {"[]", "expected an object ({...}), found an array"},
      {"{}", "does nothing: give it a \"command\", a \"script\" or a \"template\""},
      {R"({"name": "other", "command": "x"})",
       "name: \"other\" differs from the file's name \"backup\": rename one of them, or remove the "
       "field"},
      {R"({"command": "x", "schedule": "75 * * * *"})", "schedule: minute 75 is outside 0-59"},
      {R"({"command": "x", "schedule": ["@daily", "@deployment"]})",
       "schedule: @deployment is an event of a workspace: a standalone job knows cron expressions "
       "and @reboot"},
      {R"({"template": "web"})",
       "type: a template job is a deployment inside a workspace: write it into the \"jobs\" of "
       "one"},
      {R"({"command": "x", "depends_on": ["y"]})",
       "depends_on: a standalone job has no others to wait for: jobs of one workspace do"},
      {R"({"command": "x", "working_dir": "data"})",
       "working_dir: write an absolute path: a standalone job has no folder of its own"},
      {R"({"command": "x", "timezone": "Mars/Base"})", "timezone: "},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(message_of(parse_standalone(c.json)),
                ::testing::StartsWith(kStandaloneFile + ": " + c.reason))
        << c.json;
  }
}

TEST(StandaloneJob, UnknownFieldsAreWarnings) {
  const auto parsed = parse_standalone(R"({"command": "x", "jobs": [], "timzone": "UTC"})");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_THAT(
      parsed->warnings,
      ElementsAre(
          kStandaloneFile + ": unknown field \"jobs\" is ignored",
          kStandaloneFile + ": unknown field \"timzone\" is ignored; did you mean \"timezone\"?"));
}

TEST(Placeholders, AreReplacedWhereTheyAreKnown) {
  const std::vector<PlaceholderValue> values = {{"workspace_name", "shop"}, {"mode", ""}};
  EXPECT_EQ(fill_placeholders("{{workspace_name}}/{{ mode }}x{{{workspace_name}}}", values),
            "shop/x{shop}");
  EXPECT_EQ(fill_placeholders("{{.Names}} {{ a | b }} {{", values), "{{.Names}} {{ a | b }} {{");
  for (const auto& each : placeholders()) {
    EXPECT_TRUE(check_placeholders("{{" + std::string(each.name) + "}}"));
  }
}

}  // namespace
}  // namespace provisioner
