#include "schedule/zone.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

namespace provisioner {
namespace {

using namespace std::chrono_literals;

Instant at(const char* text) { return parse_rfc3339(text).value(); }

// $TZ for the length of one test; every case runs in a process of its own.
class TzVariable {
 public:
  explicit TzVariable(const char* value) {
    if (const char* before = std::getenv("TZ"); before != nullptr) before_ = before;
    setenv("TZ", value, 1);
  }
  ~TzVariable() { before_ ? setenv("TZ", before_->c_str(), 1) : unsetenv("TZ"); }
  TzVariable(const TzVariable&) = delete;
  TzVariable& operator=(const TzVariable&) = delete;

 private:
  std::optional<std::string> before_;
};

TEST(ZoneTest, IsFoundByItsIanaName) {
  for (const char* name : {"UTC", "Etc/UTC", "America/New_York", "Australia/Lord_Howe",
                           "America/Argentina/Buenos_Aires", "GMT", "CET"}) {
    const auto zone = Zone::find(name);
    ASSERT_TRUE(zone) << name;
    EXPECT_EQ(zone->name(), name);
    EXPECT_EQ(*zone, *Zone::find(name)) << "the same zone is loaded once";
  }
}

TEST(ZoneTest, NamesTheNearestZoneForAnUnknownOne) {
  const struct {
    const char* name;
    const char* part;
  } cases[] = {
      {"Europe/Berln", "unknown time zone \"Europe/Berln\"; did you mean Europe/Berlin?"},
      {"europe/berlin", "did you mean Europe/Berlin?"},
      {"New_York", "did you mean America/New_York?"},
      {"PST", "unknown time zone \"PST\": write an IANA name"},
      {"", "write an IANA name"},
      {"localtime", "unknown time zone \"localtime\""},
      {"right/UTC", "unknown time zone"},
      {"../../etc/passwd", "unknown time zone"},
  };
  for (const auto& c : cases) {
    const auto zone = Zone::find(c.name);
    ASSERT_FALSE(zone) << c.name;
    EXPECT_EQ(zone.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(zone.error().message.find(c.part), std::string::npos) << zone.error().message;
  }
}

TEST(ZoneTest, WritesLocalTimesWithTheirOffset) {
  const struct {
    const char* zone;
    const char* instant;
    const char* local;
  } cases[] = {
      {"UTC", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00+00:00"},
      {"Europe/Berlin", "2026-03-29T00:59:59Z", "2026-03-29T01:59:59+01:00"},
      {"Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00+02:00"},
      {"America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T01:30:00-04:00"},
      {"America/New_York", "2026-11-01T06:30:00Z", "2026-11-01T01:30:00-05:00"},
      {"Australia/Lord_Howe", "2026-10-03T15:30:00Z", "2026-10-04T02:30:00+11:00"},
      {"America/St_Johns", "2026-01-01T00:00:00Z", "2025-12-31T20:30:00-03:30"},
      {"Asia/Kathmandu", "2026-01-01T00:00:00.750Z", "2026-01-01T05:45:00+05:45"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Zone::find(c.zone)->format_local(at(c.instant)), c.local);
  }
}

TEST(ZoneTest, FindsTheInstantOfALocalTime) {
  const struct {
    const char* zone;
    const char* local;  // read as if it were UTC
    const char* instant;
  } cases[] = {
      {"America/New_York", "2026-03-08T01:59:00Z", "2026-03-08T06:59:00Z"},
      {"America/New_York", "2026-03-08T02:30:00Z",
       "2026-03-08T07:00:00Z"},  // skipped: the end of the gap
      {"America/New_York", "2026-03-08T03:00:00Z", "2026-03-08T07:00:00Z"},
      {"America/New_York", "2026-11-01T01:30:00Z", "2026-11-01T05:30:00Z"},  // twice: the first
      {"America/New_York", "2026-11-01T02:00:00Z", "2026-11-01T07:00:00Z"},
      {"UTC", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
  };
  for (const auto& c : cases) {
    const auto instant = Zone::find(c.zone)->from_local(
        std::chrono::local_time<Duration>(at(c.local).time_since_epoch()));
    ASSERT_TRUE(instant);
    EXPECT_EQ(format_rfc3339(*instant), c.instant) << c.zone << " " << c.local;
  }
  const auto beyond = Zone::find("UTC")->from_local(
      std::chrono::local_time<Duration>(kZoneDataEnd.time_since_epoch()));
  ASSERT_FALSE(beyond);
  EXPECT_NE(beyond.error().message.find("1970 to 2037"), std::string::npos);
}

TEST(ZoneTest, ConvertsThereAndBack) {
  const Zone zone = Zone::find("Australia/Lord_Howe").value();
  for (Instant instant = at("2026-01-01T00:00:00Z"); instant < at("2026-04-04T00:00:00Z");
       instant += 7h + 13min + 1us) {
    EXPECT_EQ(zone.from_local(zone.to_local(instant)), instant);
  }
}

TEST(ZoneTest, StretchesCoverTheDataWithoutHoles) {
  for (const char* name : {"UTC", "America/New_York", "Africa/Casablanca", "Africa/Monrovia",
                           "Pacific/Apia", "Antarctica/Troll"}) {
    const Zone zone = Zone::find(name).value();
    std::int64_t end = 0;
    for (std::size_t i = 0; i < zone.stretches().size(); ++i) {
      const ZoneStretch& stretch = zone.stretches()[i];
      EXPECT_EQ(stretch.begin, end) << name;
      EXPECT_EQ(zone.stretch_at(stretch.begin), i);
      EXPECT_EQ(zone.stretch_at(stretch.end - 1), i);
      end = stretch.end;
    }
    EXPECT_EQ(Instant(std::chrono::seconds(end)), kZoneDataEnd);
  }
}

TEST(ZoneTest, IsLoadedOnceFromManyThreads) {
  std::vector<std::optional<Zone>> found(8);
  {
    std::vector<std::jthread> threads;
    threads.reserve(found.size());
    for (auto& place : found) {
      threads.emplace_back([&place] { place = Zone::find("Pacific/Chatham").value(); });
    }
  }
  for (const auto& zone : found) EXPECT_EQ(*zone, *found.front());
}

TEST(ZoneData, OfThisSystemIsReadAsItWasMeant) {
  const auto status = check_zone_data();
  EXPECT_TRUE(status) << status.error().message;
}

TEST(ZoneData, ThatIsMisreadIsRefusedWithTheRemedy) {
  const KnownOffset known[] = {{"America/New_York", at("2026-01-15T00:00:00Z"), -5h},
                               {"America/New_York", at("2026-07-15T00:00:00Z"), -5h}};
  const auto status = check_zone_data(known);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(status.error().message.find(
                "America/New_York is UTC-04:00 on 2026-07-15, where UTC-05:00 is right"),
            std::string::npos)
      << status.error().message;
  EXPECT_NE(status.error().message.find("tzdata"), std::string::npos);
}

TEST(SystemZone, FollowsTheVariableTz) {
  {
    const TzVariable tz("Europe/London");
    EXPECT_EQ(system_zone_name(), "Europe/London");
  }
  {
    const TzVariable tz(":Asia/Tokyo");
    EXPECT_EQ(system_zone_name(), "Asia/Tokyo");
  }
  const TzVariable tz("CET-1CEST");
  const auto name = system_zone_name();
  ASSERT_FALSE(name);
  EXPECT_NE(name.error().message.find("set scheduler.timezone"), std::string::npos);
}

TEST(SystemZone, WithoutTheVariableIsAZoneThatCanBeFound) {
  const TzVariable tz("");
  const auto name = system_zone_name();
  ASSERT_TRUE(name) << name.error().message;
  EXPECT_TRUE(Zone::find(*name));
}

}  // namespace
}  // namespace provisioner
