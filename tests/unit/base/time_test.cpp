#include "base/time.hpp"

#include <gtest/gtest.h>

namespace provisioner {
namespace {

using namespace std::chrono_literals;

TEST(Rfc3339, ReadsZonesAndFractionsAndWritesUtc) {
  const struct {
    const char* text;
    const char* utc;
  } cases[] = {
      {"2026-11-23T08:34:18Z", "2026-11-23T08:34:18Z"},
      {"2026-11-23T09:34:18+01:00", "2026-11-23T08:34:18Z"},
      {"2025-09-19T12:04:33.123456789-05:30", "2025-09-19T17:34:33.123456Z"},
      {"2024-02-29T00:00:00.5Z", "2024-02-29T00:00:00.500Z"},
  };
  for (const auto& c : cases) {
    const auto at = parse_rfc3339(c.text);
    ASSERT_TRUE(at) << c.text;
    EXPECT_EQ(format_rfc3339(*at), c.utc);
  }
}

TEST(Rfc3339, RefusesWhatIsNoTime) {
  for (const char* text : {"", "2026-11-23", "2026-02-30T00:00:00Z", "2026-11-23T25:00:00Z",
                           "2026-11-23T08:34:18", "2026-11-23T08:34:18.Z", "x"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

TEST(DurationText, ReadsAndWrites) {
  EXPECT_EQ(parse_duration("30m"), Duration(30min));
  EXPECT_EQ(parse_duration("1h30m"), Duration(90min));
  EXPECT_EQ(parse_duration("7d"), Duration(168h));
  EXPECT_EQ(parse_duration("250ms"), Duration(250ms));
  EXPECT_EQ(format_duration(Duration(90min)), "1h30m");
  EXPECT_EQ(format_duration(Duration(0)), "0s");
}

TEST(DurationText, NamesWhatIsWrong) {
  EXPECT_NE(parse_duration("30").error().message.find("a unit is missing"), std::string::npos);
  EXPECT_FALSE(parse_duration("1m1h"));
  EXPECT_FALSE(parse_duration("1h1h"));
  EXPECT_FALSE(parse_duration("-1h"));
  EXPECT_FALSE(parse_duration("99999999999999d"));
}

}  // namespace
}  // namespace provisioner
