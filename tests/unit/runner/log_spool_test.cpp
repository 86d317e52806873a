#include "runner/log_spool.hpp"

#include <gtest/gtest.h>

#include "tests/support/temp_directory.hpp"

namespace provisioner::runner {
namespace {

class LogSpoolTest : public ::testing::Test {
 protected:
  testing::TempDirectory temp_;
};

TEST_F(LogSpoolTest, MasksSecretsTheLongestFirst) {
  LogSpool log(temp_ / "log", Masks({"pass", "password", ""}), 1000);
  log.append("password pass passport");
  EXPECT_EQ(log.read(0, 100).value(), "*** *** ***port\n");
}

TEST_F(LogSpoolTest, CutsTheOutputOnceAndSaysSo) {
  LogSpool log(temp_ / "log", Masks({}), 10);
  log.append("12345678");
  log.append("12345678");
  log.append("more");
  EXPECT_EQ(log.read(0, 1000).value(), "12345678\n[output cut: it is longer than 10 bytes]\n");
}

TEST_F(LogSpoolTest, NeverEndsABatchInsideACharacter) {
  LogSpool log(temp_ / "log", Masks({}), 1000);
  log.append("aä€😀z");
  std::string whole;
  for (std::int64_t at = 0; at < log.size();) {
    const std::string piece = log.read(at, 5).value();
    ASSERT_FALSE(piece.empty());
    EXPECT_NE(static_cast<unsigned char>(piece[0]) & 0xc0, 0x80) << "a batch begins inside one";
    whole += piece;
    at += static_cast<std::int64_t>(piece.size());
  }
  EXPECT_EQ(whole, "aä€😀z\n");
}

TEST_F(LogSpoolTest, ReadsFromAnyOffset) {
  LogSpool log(temp_ / "log", Masks({}), 1000);
  log.append("one\ntwo");
  EXPECT_EQ(log.size(), 8);
  EXPECT_EQ(log.read(4, 100).value(), "two\n");
  EXPECT_EQ(log.read(8, 100).value(), "");
}

}  // namespace
}  // namespace provisioner::runner
