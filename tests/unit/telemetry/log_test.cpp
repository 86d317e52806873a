#include "telemetry/log.hpp"

#include <gtest/gtest.h>

namespace provisioner {
namespace {

LogEvent event(std::string message, LogFields fields) {
  return {*parse_rfc3339("2026-11-23T08:34:18.250Z"), LogLevel::kWarning, "scheduler",
          std::move(message), std::move(fields)};
}

TEST(Log, JsonLineEscapesWhatAChildMayPrint) {
  EXPECT_EQ(render_json(event("said \"hi\"\n\x1b[31m", {{"workspace", "shop"}, {"bad", "\xff"}})),
            "{\"timestamp\":\"2026-11-23T08:34:18.250Z\",\"level\":\"warning\","
            "\"logger\":\"scheduler\",\"message\":\"said \\\"hi\\\"\\n\\u001b[31m\","
            "\"workspace\":\"shop\",\"bad\":\"\xef\xbf\xbd\"}");
}

TEST(Log, TextLineQuotesOnlyWhereNeeded) {
  EXPECT_EQ(
      render_text(event("deploying", {{"workspace", "shop"}, {"reason", "it is due"}}), false),
      "2026-11-23T08:34:18.250Z warning deploying workspace=shop reason=\"it is due\"");
}

TEST(Log, LevelsHaveNamesAndAnUnknownOneIsRefused) {
  EXPECT_EQ(parse_log_level("error"), LogLevel::kError);
  EXPECT_EQ(parse_log_level("loud").error().message,
            "\"loud\" is not a log level: use debug, info, warning or error");
}

}  // namespace
}  // namespace provisioner
