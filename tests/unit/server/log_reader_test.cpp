#include "server/log_reader.hpp"

#include <gtest/gtest.h>

namespace provisioner::server {
namespace {

std::string cut(const std::vector<LogChunk>& chunks) {
  LineCutter cutter;
  std::string all;
  const auto add = [&](const LineCutter::Lines& lines) {
    all += lines.end.to_string() + "=" + lines.text + ";";
  };
  for (const auto& chunk : chunks) {
    for (const auto& lines : cutter.feed(chunk)) add(lines);
  }
  if (const auto rest = cutter.flush()) add(*rest);
  return all;
}

TEST(LineCutter, HandsOverWholeLinesWithThePositionBehindThem) {
  EXPECT_EQ(cut({{Attempt(1), 0, "a\nb\n"}}), "1:4=a\nb;");
  EXPECT_EQ(cut({{Attempt(1), 0, "a\nb"}, {Attempt(1), 3, "c\nd"}}), "1:2=a;1:5=bc;1:6=d;");
  EXPECT_EQ(cut({{Attempt(1), 0, "\n\n"}}), "1:2=\n;");
}

TEST(LineCutter, EndsAnAttemptsUnfinishedLineWhereTheNextOneBegins) {
  EXPECT_EQ(cut({{Attempt(1), 0, "a\nb"}, {Attempt(2), 0, "c\n"}}), "1:2=a;1:3=b;2:2=c;");
}

TEST(LineCutter, CutsAnEndlessLineBetweenCharacters) {
  LineCutter cutter;
  std::string text;
  while (text.size() < 3 * LineCutter::kLongest) text += "é";
  text = "x" + text;
  std::string all;
  for (const auto& lines : cutter.feed({Attempt(1), 0, text})) {
    EXPECT_LE(lines.text.size(), LineCutter::kLongest);
    EXPECT_NE(static_cast<unsigned char>(lines.text[0]) & 0xC0, 0x80);
    all += lines.text;
    EXPECT_EQ(lines.end.offset, static_cast<std::int64_t>(all.size()));
  }
  EXPECT_EQ(all + cutter.flush()->text, text);
}

TEST(LogPosition, ReadsWhatItWrites) {
  EXPECT_EQ(LogPosition::parse("2:1048576"), (LogPosition{Attempt(2), 1048576}));
  EXPECT_EQ((LogPosition{Attempt(2), 1048576}.to_string()), "2:1048576");
  for (const char* wrong : {"", "2", "2:", ":2", "-1:0", "1:-1", "1:2x", "1:2:3", "a:b"}) {
    EXPECT_EQ(LogPosition::parse(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace provisioner::server
