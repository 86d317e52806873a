#include "tofu/output.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tofu/sample.hpp"

namespace provisioner::tofu {
namespace {

using provisioner::testing::sample;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

struct Heard {
  std::string log;
  std::vector<OutputEvent> events;
  OutputSummary summary;
};

Heard hear(std::string_view output, std::size_t piece = std::string_view::npos,
           bool hide_plan = false) {
  OutputParser parser(hide_plan);
  Heard heard;
  const auto take = [&](std::vector<OutputEvent> events) {
    for (auto& event : events) {
      if (!event.text.empty()) heard.log += event.text + "\n";
      heard.events.push_back(std::move(event));
    }
  };
  while (!output.empty()) {
    take(parser.feed(output.substr(0, piece)));
    output.remove_prefix(std::min(piece, output.size()));
  }
  take(parser.finish());
  heard.summary = parser.summary();
  return heard;
}

TEST(Output, APlanIsCountedAndReadsAsAPersonExpects) {
  const Heard heard = hear(sample("plan_create.jsonl"));
  EXPECT_EQ(heard.summary.planned, (ResourceCounts{3, 0, 0}));
  EXPECT_FALSE(heard.summary.removes_something());
  EXPECT_EQ(heard.summary.first_error(), "");
  EXPECT_EQ(heard.log,
            "terraform_data.repl: Plan to create\n"
            "terraform_data.web: Plan to create\n"
            "terraform_data.key: Plan to create\n"
            "\n"
            "Plan: 3 to add, 0 to change, 0 to destroy.\n");
}

TEST(Output, AnApplyShowsProgressDoneOfPlanned) {
  const Heard heard = hear(sample("apply_create.jsonl"));
  EXPECT_EQ(heard.summary.applied, (ResourceCounts{3, 0, 0}));
  EXPECT_EQ(heard.summary.finished, (ResourceCounts{3, 0, 0}));
  std::vector<Progress> done;
  bool saw_running = false;
  for (const OutputEvent& event : heard.events) {
    if (!event.progress) continue;
    if (event.progress->stage == Progress::Stage::kDone) done.push_back(*event.progress);
    if (event.progress->stage == Progress::Stage::kRunning) {
      saw_running = true;
      EXPECT_EQ(event.progress->elapsed, std::chrono::seconds(10));
    }
  }
  EXPECT_TRUE(saw_running);
  ASSERT_THAT(done, SizeIs(3));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(done[i].done, static_cast<std::int64_t>(i) + 1);
    EXPECT_EQ(done[i].planned, 3);
  }
  EXPECT_EQ(done[2].address, "terraform_data.repl");
  EXPECT_EQ(done[2].elapsed, std::chrono::seconds(11));
}

TEST(Output, OutputsAreKeptButSensitiveValuesNever) {
  const Heard heard = hear(sample("apply_create.jsonl"));
  EXPECT_THAT(heard.summary.outputs,
              UnorderedElementsAre(std::pair<const std::string, std::string>("mode", "\"a\"")));
  EXPECT_THAT(heard.log, HasSubstr("\nOutputs:\n\nmode = \"a\"\nsecret = <sensitive>\n"));
}

TEST(Output, AnApplyCanHideThePlanThatItRepeats) {
  const Heard heard = hear(sample("apply_create.jsonl"), std::string_view::npos, true);
  EXPECT_THAT(heard.log, Not(HasSubstr("Plan to create")));
  EXPECT_THAT(heard.log, HasSubstr("terraform_data.web: Creating..."));
  EXPECT_THAT(heard.log, HasSubstr("terraform_data.repl: (local-exec): hello from local-exec\n"));
}

TEST(Output, RemovalsOfAPlanAreNamed) {
  const OutputSummary replace = hear(sample("plan_replace.jsonl")).summary;
  EXPECT_TRUE(replace.removes_something());
  EXPECT_THAT(replace.removals,
              ElementsAre(PlannedChange{"terraform_data.repl", Action::kReplace, "cannot_update"}));
  const OutputSummary destroy = hear(sample("plan_destroy.jsonl")).summary;
  EXPECT_EQ(destroy.removals.size(), static_cast<std::size_t>(destroy.planned->destroy));
}

TEST(Output, AFailedApplySaysWhereAndWhy) {
  const Heard heard = hear(sample("apply_failed.jsonl"));
  EXPECT_EQ(heard.summary.applied, std::nullopt);
  EXPECT_EQ(heard.summary.finished, (ResourceCounts{0, 1, 1}));
  ASSERT_THAT(heard.summary.errors, SizeIs(1));
  const Diagnostic& error = heard.summary.errors.front();
  EXPECT_EQ(error.summary, "local-exec provisioner error");
  EXPECT_EQ(error.address, "terraform_data.repl");
  EXPECT_EQ(error.file, "main.tf");
  EXPECT_EQ(error.line, 14);
  EXPECT_THAT(heard.summary.first_error(),
              HasSubstr("local-exec provisioner error (terraform_data.repl), main.tf:14: Error "
                        "running command"));
  EXPECT_THAT(heard.log,
              HasSubstr("\nError: local-exec provisioner error\n\n"
                        "  with terraform_data.repl\n"
                        "  on main.tf line 14, in resource \"terraform_data\" \"repl\":\n"
                        "   14:   provisioner \"local-exec\" {\n"));
}

TEST(Output, AStalePlanIsSeen) {
  EXPECT_TRUE(hear(sample("apply_stale.jsonl")).summary.plan_is_stale);
  EXPECT_FALSE(hear(sample("apply_failed.jsonl")).summary.plan_is_stale);
}

TEST(Output, TheHolderOfALockIsToldFromTheOneWhoAsked) {
  const OutputSummary summary = hear(sample("plan_locked.jsonl")).summary;
  EXPECT_EQ(summary.lock_in_the_way, "0f1e2d3c-aaaa-bbbb-cccc-000000000001");
  EXPECT_EQ(summary.left_lock, std::nullopt);
}

TEST(Output, OnlyALockThatCouldNotBeReleasedIsOurOwn) {
  const OutputSummary summary =
      hear(
          R"({"@message":"Error: Error releasing the state lock","type":"diagnostic","diagnostic":)"
          R"({"severity":"error","summary":"Error releasing the state lock","detail":)"
          R"("Error message: failed\nLock Info:\n  ID:        11-22\n  Path: x"}})"
          "\n")
          .summary;
  EXPECT_EQ(summary.left_lock, "11-22");
  EXPECT_EQ(summary.lock_in_the_way, std::nullopt);
}

TEST(Output, ErrorsOfInitAreReadFromItsText) {
  const Heard heard = hear(sample("init_backend_changed.txt"));
  ASSERT_THAT(heard.summary.errors, SizeIs(1));
  EXPECT_EQ(heard.summary.errors[0].summary, "Backend configuration changed");
  EXPECT_EQ(heard.summary.warnings, 1);
  EXPECT_EQ(heard.summary.first_error(),
            "Backend configuration changed: A change in the backend configuration has been "
            "detected, which may require migrating existing state.");
}

TEST(Output, WhereThePiecesAreCutMakesNoDifference) {
  for (const char* name :
       {"apply_failed.jsonl", "init_backend_changed.txt", "plan_replace.jsonl"}) {
    const std::string text = sample(name);
    const std::string whole = hear(text).log;
    for (const std::size_t piece : {1u, 2u, 7u, 100u, 4096u}) {
      EXPECT_EQ(hear(text, piece).log, whole) << name << " in pieces of " << piece;
    }
  }
}

TEST(Output, ALineThatNeverEndsIsCutAndTheNextOneIsUnderstood) {
  const std::string endless(5 << 20, 'x');
  const Heard heard = hear(endless + "\n" + sample("apply_stale.jsonl"), 64 * 1024);
  EXPECT_TRUE(heard.summary.plan_is_stale);
  EXPECT_LT(heard.log.size(), 64u * 1024);
  EXPECT_THAT(heard.log, HasSubstr("(cut: longer than"));
}

struct OddLine {
  const char* what;
  std::string line;
  std::string logged;
};

TEST(Output, OddLinesAreTextOrNothingButNeverTrouble) {
  const std::string nested = R"({"type":"x","@message":"m","v":)" + std::string(100'000, '[');
  const OddLine cases[] = {
      {"a JSON line that is not tofu's", R"({"a":1})", "{\"a\":1}\n"},
      {"half a JSON line", R"({"type":"diagnostic")", "{\"type\":\"diagnostic\"\n"},
      {"types that do not fit", R"({"type":"diagnostic","@message":"m","diagnostic":[1]})",
       "\nError:\n"},
      {"counts beyond any range",
       R"({"type":"change_summary","@message":"m","changes":{"add":1e300,"operation":"plan"}})",
       "\nm\n"},
      {"an unknown event", R"({"type":"novelty","@message":"Something new"})", "Something new\n"},
      {"colours", "\x1b[31mred\x1b[0m \x1b]0;title\x07text", "red text\n"},
      {"invalid UTF-8", "caf\xe9 \xf0\x9f\x98",
       "caf\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\n"},
      {"control characters", std::string("a\0b\rc\bd", 7), "abcd\n"},
      {"invalid UTF-8 in JSON", "{\"type\":\"log\",\"@message\":\"caf\xe9\"}", "caf\xEF\xBF\xBD\n"},
      {"a value nested without end", nested,
       nested.substr(0, 16 << 10) + " ... (cut: longer than 16384 bytes)\n"},
  };
  for (const OddLine& odd : cases) {
    EXPECT_EQ(hear(odd.line + "\n").log, odd.logged) << odd.what;
  }
}

TEST(Output, EmptyLinesBetweenParagraphsStayAndOthersGo) {
  EXPECT_EQ(hear("\n\nfirst\n\n\nsecond\n\n").log, "\nfirst\n\nsecond\n");
}

}  // namespace
}  // namespace provisioner::tofu
