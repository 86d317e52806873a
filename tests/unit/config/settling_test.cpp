#include "config/settling.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Settling, ActsOnceWhenAFolderHasBeenQuiet) {
  const BootInstant start{};
  Settling settling(5s);
  EXPECT_EQ(settling.next_due(), std::nullopt);
  settling.touch("shop", start);
  settling.touch("blog", start + 1s);
  settling.touch("shop", start + 3s);  // somebody still types
  EXPECT_EQ(settling.next_due(), start + 6s);
  EXPECT_THAT(settling.take_due(start + 5s), IsEmpty());
  EXPECT_THAT(settling.take_due(start + 6s), ElementsAre("blog"));
  EXPECT_EQ(settling.next_due(), start + 8s);
  EXPECT_THAT(settling.take_due(start + 60s), ElementsAre("shop"));
  EXPECT_THAT(settling.take_due(start + 61s), IsEmpty());
  EXPECT_EQ(settling.next_due(), std::nullopt);
}

TEST(Settling, ManyTouchesOfManyFoldersComeOutByName) {
  Settling settling(0s);
  for (const char* folder : {"c", "a", "b", "a"}) settling.touch(folder, BootInstant{});
  EXPECT_THAT(settling.take_due(BootInstant{}), ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace provisioner
