// What a workspace of the file-based version becomes: its status is what scheduler.json says only
// as far as terraform.tfstate does not say otherwise.
#include <gtest/gtest.h>

#include "migration/import_plan.hpp"

namespace provisioner::migration {
namespace {

using enum WorkspaceStatus;

enum class State { kNone, kBroken, kEmpty, kThree };

OldWorkspace old(std::string status, State state) {
  OldWorkspace workspace{.status = std::move(status)};
  if (state != State::kNone) workspace.state.emplace();
  if (state == State::kBroken) workspace.state->problem = "it is no state";
  if (state == State::kThree) workspace.state->meta.resources = 3;
  return workspace;
}

struct Case {
  const char* status;
  State state;
  bool own_backend;
  WorkspaceStatus becomes;
  bool held;
};

TEST(Decide, TakesTheStateForTheBetterWitness) {
  const Case cases[] = {
      {"deployed", State::kThree, false, kDeployed, false},
      {"deployed", State::kEmpty, false, kDestroyed, false},
      {"deployed", State::kNone, false, kDeployed, true},
      {"deployed", State::kNone, true, kDeployed, false},
      {"deployed", State::kBroken, false, kDeployed, true},
      {"destroyed", State::kEmpty, false, kDestroyed, false},
      {"destroyed", State::kNone, false, kDestroyed, false},
      {"destroyed", State::kThree, false, kDeployed, false},
      {"destroyed", State::kBroken, false, kDestroyed, true},
      {"pending", State::kNone, false, kPending, false},
      {"pending", State::kThree, false, kDeployed, false},
      {"", State::kNone, false, kPending, false},
      {"", State::kThree, false, kDeployed, false},
      {"deploying", State::kThree, false, kDeployFailed, true},
      {"deploying", State::kEmpty, false, kDestroyed, true},
      {"deploying", State::kNone, false, kPending, true},
      {"deploying", State::kNone, true, kDeployFailed, true},
      {"destroying", State::kThree, false, kDestroyFailed, true},
      {"destroying", State::kEmpty, false, kDestroyed, false},
      {"destroying", State::kNone, true, kDestroyFailed, true},
      {"deploy_failed", State::kThree, false, kDeployFailed, false},
      {"deploy_failed", State::kNone, false, kDeployFailed, false},
      {"destroy_failed", State::kThree, false, kDestroyFailed, false},
      {"destroy_failed", State::kEmpty, false, kDestroyed, false},
      {"sleeping", State::kThree, false, kDeployed, true},
      {"sleeping", State::kNone, false, kPending, true},
  };
  for (const Case& c : cases) {
    const Decision made = decide(old(c.status, c.state), c.own_backend);
    SCOPED_TRACE(std::string(c.status) + " and " + witness_of(old(c.status, c.state)) +
                 (c.own_backend ? ", own backend" : ""));
    EXPECT_EQ(to_string(made.status), to_string(c.becomes));
    EXPECT_EQ(!made.holds.empty(), c.held);
  }
}

TEST(Decide, SaysWhereTheTwoContradictEachOther) {
  const Decision contrary = decide(old("destroyed", State::kThree), false);
  ASSERT_EQ(contrary.notes.size(), 1u);
  EXPECT_EQ(contrary.notes[0],
            "scheduler.json says destroyed, terraform.tfstate says 3 resources: it is taken for "
            "deployed");
  EXPECT_TRUE(decide(old("deployed", State::kThree), false).notes.empty());
}

TEST(Decide, KeepsTheErrorOfAFailure) {
  OldWorkspace failed = old("deploy_failed", State::kThree);
  failed.last_deploy_error = "quota exceeded";
  EXPECT_EQ(decide(failed, false).deploy_error, "quota exceeded");
  EXPECT_NE(decide(old("deploying", State::kThree), false).deploy_error, "");
}

}  // namespace
}  // namespace provisioner::migration
