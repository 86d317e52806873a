#include "templates/remote_refs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace provisioner {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

const std::string kA(40, 'a'), kB(40, 'b'), kC(40, 'c'), kTag(40, 'd');

std::vector<RemoteRef> refs() {
  return parse_remote_refs(kA + "\tHEAD\n" + kA + "\trefs/heads/main\n" + kB +
                           "\trefs/heads/release\n" + kTag + "\trefs/tags/v1.0\n" + kC +
                           "\trefs/tags/v1.0^{}\n" + kB + "\trefs/tags/main\nwarning: noise\n");
}

TEST(RemoteRefs, AnAnnotatedTagIsTheCommitThatItTags) {
  const auto choice = choose_ref(refs(), "v1.0");
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->commit, kC);
  EXPECT_EQ(choice->fetch, "refs/tags/v1.0");
}

TEST(RemoteRefs, NoRefIsHead) {
  EXPECT_EQ(choose_ref(refs(), "")->commit, kA);
  EXPECT_EQ(choose_ref(refs(), "")->fetch, "HEAD");
}

TEST(RemoteRefs, ABranchComesBeforeATagOfItsName) {
  EXPECT_EQ(choose_ref(refs(), "main")->fetch, "refs/heads/main");
  EXPECT_EQ(choose_ref(refs(), "refs/tags/main")->commit, kB);
}

TEST(RemoteRefs, ACommitIsNamedByItsIdOrItsBeginning) {
  const std::string id(40, 'e');
  EXPECT_EQ(choose_ref(refs(), id)->fetch, id);
  EXPECT_FALSE(choose_ref(refs(), id)->abbreviated);
  EXPECT_TRUE(choose_ref(refs(), "eeeeeee")->abbreviated);
}

TEST(RemoteRefs, AnUnknownRefNamesWhatIsThere) {
  EXPECT_THAT(choose_ref(refs(), "relase").error().message, EndsWith("did you mean release?"));
  EXPECT_THAT(choose_ref(refs(), "production").error().message,
              HasSubstr("it has main, release, v1.0"));
  EXPECT_EQ(choose_ref({}, "main").error().message, "the repository is empty");
}

}  // namespace
}  // namespace provisioner
