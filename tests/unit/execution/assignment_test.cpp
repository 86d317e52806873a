#include "execution/assignment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace provisioner::execution {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::Pair;

ConfigValue literal(std::string json) { return {ConfigValue::Source::kLiteral, std::move(json)}; }
ConfigValue env(std::string name) { return {ConfigValue::Source::kEnv, std::move(name)}; }
ConfigValue file(std::string path) { return {ConfigValue::Source::kFile, std::move(path)}; }

class AssignmentTest : public testing::Test {
 protected:
  AssignmentTest() {
    settings_.state_dir = "/state";
    settings_.environment.pass = default_pass_patterns();
    settings_.runs.lease = std::chrono::seconds(150);
    settings_.runs.heartbeat = std::chrono::seconds(10);
    settings_.runs.stop_allowance = std::chrono::seconds(40);
    inputs_.run.id = RunId("run-1");
    inputs_.run.workspace = WorkspaceName("shop");
    inputs_.spec.name = WorkspaceName("shop");
    inputs_.binary = "/usr/bin/tofu";
  }

  Result<runner::Assignment> make() {
    inputs_.settings = &settings_;
    inputs_.environment = &environment_;
    inputs_.secrets.environment = &environment_;
    inputs_.secrets.base = "/config/workspaces/shop";
    inputs_.secrets.read_file = [this](const std::filesystem::path& path) -> Result<std::string> {
      const auto found = files_.find(path.lexically_normal().string());
      if (found == files_.end()) return fail(ErrorKind::kNotFound, path.string() + " is missing");
      return found->second;
    };
    return make_assignment(inputs_);
  }

  Settings settings_;
  Environment environment_ = {{"PATH", "/usr/bin"}};
  std::map<std::string, std::string> files_;
  AssignmentInputs inputs_;
};

TEST_F(AssignmentTest, GivesChildrenTheListedVariablesAndNoOthers) {
  environment_ = {{"PATH", "/usr/bin"},
                  {"HOME", "/root"},
                  {"SSL_CERT_FILE", "/ca.pem"},
                  {"HTTPS_PROXY", "http://proxy"},
                  {"AWS_PROFILE", "prod"},
                  {"TF_LOG", "debug"},
                  {"SHELL", "/bin/sh"},
                  {"DATABASE_PASSWORD", "secret"},
                  {"PROVISIONER_TOKEN", "x"},
                  {"TF_WORKSPACE", "other"},
                  {"TF_DATA_DIR", "/x"},
                  {"TF_CLI_ARGS_plan", "-destroy"},
                  {"TF_HTTP_ADDRESS", "http://elsewhere"}};
  const auto assignment = make();
  ASSERT_TRUE(assignment.has_value()) << assignment.error().message;
  const auto& given = assignment->environment;
  for (const char* name :
       {"PATH", "HOME", "SSL_CERT_FILE", "HTTPS_PROXY", "AWS_PROFILE", "TF_LOG"}) {
    EXPECT_THAT(given, Contains(Key(name)));
  }
  for (const char* name : {"SHELL", "DATABASE_PASSWORD", "PROVISIONER_TOKEN", "TF_WORKSPACE",
                           "TF_DATA_DIR", "TF_CLI_ARGS_plan", "TF_HTTP_ADDRESS"}) {
    EXPECT_THAT(given, Not(Contains(Key(name))));
  }
}

TEST_F(AssignmentTest, LetsTheWorkspacesEnvironmentWin) {
  environment_["AWS_PROFILE"] = "prod";
  environment_["SECRET_REGION"] = "eu-1";
  inputs_.spec.environment = {{"AWS_PROFILE", literal("\"test\"")},
                              {"PARALLEL", literal("4")},
                              {"ON", literal("true")},
                              {"REGION", env("SECRET_REGION")}};
  const auto assignment = make();
  ASSERT_TRUE(assignment.has_value()) << assignment.error().message;
  EXPECT_THAT(assignment->environment, Contains(Pair("AWS_PROFILE", "test")));
  EXPECT_THAT(assignment->environment, Contains(Pair("PARALLEL", "4")));
  EXPECT_THAT(assignment->environment, Contains(Pair("ON", "true")));
  EXPECT_THAT(assignment->environment, Contains(Pair("REGION", "eu-1")));
  EXPECT_THAT(assignment->environment, Contains(Pair("WORKSPACE_ID", "shop")));
  EXPECT_THAT(assignment->masks, ElementsAre("eu-1"));
}

TEST_F(AssignmentTest, RefusesAnEnvironmentThatLeadsTofuAwayFromItsState) {
  for (const char* name : {"TF_HTTP_ADDRESS", "TF_WORKSPACE", "TF_DATA_DIR", "PROVISIONER_ATTEMPT",
                           "RUN_ID", "WORKSPACE_DEPLOYMENT_DIR"}) {
    inputs_.spec.environment = {{name, literal("\"x\"")}};
    const auto assignment = make();
    ASSERT_FALSE(assignment.has_value()) << name;
    EXPECT_EQ(assignment.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(assignment.error().message, HasSubstr(std::string("environment.") + name));
  }
}

TEST_F(AssignmentTest, LetsAWorkspaceWithItsOwnBackendNameItsStateItself) {
  inputs_.content.own_backend = true;
  inputs_.spec.environment = {{"TF_WORKSPACE", literal("\"blue\"")}};
  const auto assignment = make();
  ASSERT_TRUE(assignment.has_value()) << assignment.error().message;
  EXPECT_TRUE(assignment->own_backend);
  EXPECT_THAT(assignment->environment, Contains(Pair("TF_WORKSPACE", "blue")));
}

TEST_F(AssignmentTest, ReadsSecretsNowAndMasksThem) {
  environment_["SHOP_DB"] = "pa\"ss";
  files_["/config/secrets/key.pem"] = "line one\nline two\n";
  inputs_.content.variables = {"db", "key", "size"};
  inputs_.spec.variables = {
      {"db", env("SHOP_DB")}, {"key", file("../../secrets/key.pem")}, {"size", literal("3")}};
  const auto assignment = make();
  ASSERT_TRUE(assignment.has_value()) << assignment.error().message;
  EXPECT_THAT(assignment->variables, HasSubstr(R"("pa\"ss")"));
  EXPECT_THAT(assignment->variables, HasSubstr(R"("line one\nline two")"));
  // Whole, by line, and as JSON spells them.
  for (const char* mask : {"pa\"ss", R"(pa\"ss)", "line one", "line two", "line one\nline two"}) {
    EXPECT_THAT(assignment->masks, Contains(mask));
  }
  EXPECT_THAT(assignment->environment, Not(Contains(Key("SHOP_DB"))));
}

TEST_F(AssignmentTest, NamesTheSecretThatIsMissing) {
  inputs_.content.variables = {"db"};
  inputs_.spec.variables = {{"db", env("SHOP_DB")}};
  auto assignment = make();
  ASSERT_FALSE(assignment.has_value());
  EXPECT_EQ(assignment.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(assignment.error().message,
            "variables.db: the daemon's environment has no variable SHOP_DB");

  inputs_.spec.variables = {{"db", file("/run/secrets/db")}};
  assignment = make();
  ASSERT_FALSE(assignment.has_value());
  EXPECT_EQ(assignment.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(assignment.error().message, "variables.db: /run/secrets/db is missing");
}

TEST_F(AssignmentTest, PassesTheModeOnlyToContentThatDeclaresIt) {
  inputs_.run.mode = "busy";
  EXPECT_EQ(make()->variables, "");
  inputs_.content.variables = {"deployment_mode"};
  EXPECT_THAT(make()->variables, HasSubstr(R"("deployment_mode")"));
  EXPECT_THAT(make()->variables, HasSubstr(R"("busy")"));
}

TEST_F(AssignmentTest, DoesNotMaskWhatWouldBlackenEverything) {
  EXPECT_THAT(masks_of({"", "a", "ab", "abc"}), ElementsAre("abc"));
  EXPECT_THAT(masks_of({"abc", "xabcx"}), ElementsAre("xabcx", "abc"));
}

struct Agreement {
  std::string name;
  Trigger trigger;
  bool confirmed;
  OnChange on_change;
  bool needed;
};
void PrintTo(const Agreement& c, std::ostream* out) { *out << c.name; }

class AgreementTest : public AssignmentTest, public testing::WithParamInterface<Agreement> {};

TEST_P(AgreementTest, IsNeededOfAPersonForChangesOnly) {
  inputs_.run.trigger = GetParam().trigger;
  inputs_.run.confirmed = GetParam().confirmed;
  inputs_.spec.on_change = GetParam().on_change;
  EXPECT_EQ(make()->needs_agreement, GetParam().needed);
}

INSTANTIATE_TEST_SUITE_P(
    Table, AgreementTest,
    testing::Values(Agreement{"a change", Trigger::kChange, false, OnChange::kRedeploy, true},
                    Agreement{"a confirmed change", Trigger::kChange, true, OnChange::kRedeploy,
                              false},
                    Agreement{"a forced change", Trigger::kChange, false, OnChange::kForce, false},
                    Agreement{"a schedule", Trigger::kSchedule, false, OnChange::kRedeploy, false},
                    Agreement{"a person", Trigger::kManual, false, OnChange::kRedeploy, false}));

}  // namespace
}  // namespace provisioner::execution
