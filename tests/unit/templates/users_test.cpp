#include "templates/users.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace provisioner {
namespace {

using ::testing::ElementsAre;

TEST(TemplateUsers, AreWorkspacesMadeOfItAndTheirTemplateJobs) {
  const Template web{.name = TemplateName("web"), .bundle = BundleHash("new")};
  const auto workspace = [](const char* name, const char* made_of, const char* bundle,
                            const char* config) {
    Workspace w;
    w.name = WorkspaceName(name);
    w.template_name = made_of;
    w.template_bundle = BundleHash(bundle);
    w.current.config = config;
    return w;
  };
  const std::vector<Workspace> all = {
      workspace("behind", "web", "old", "{}"), workspace("current", "web", "new", "{}"),
      workspace("other", "db", "new", "{}"),
      workspace("site", "", "",
                R"({"jobs":[{"name":"a","type":"template","template":"web"},)"
                R"({"name":"b","type":"template","template":"db"},)"
                R"({"name":"c","type":"command","command":"web"}]})"),
      workspace("broken", "", "", R"({"jobs":"template"} "template")")};
  const auto users = users_of(web, all);
  EXPECT_THAT(users, ElementsAre(TemplateUser{WorkspaceName("behind"), "", false},
                                 TemplateUser{WorkspaceName("current"), "", true},
                                 TemplateUser{WorkspaceName("site"), "a", true}));
  EXPECT_EQ(shown(users[2]), "site (job a)");
}

}  // namespace
}  // namespace provisioner
