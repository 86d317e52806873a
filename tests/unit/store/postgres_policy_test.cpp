// What a failure of the database means for the call that met it (docs/operations.md, and I9:
// nothing that may have been kept is done again unseen).
#include <gtest/gtest.h>

#include "store/postgres/policy.hpp"

namespace provisioner::postgres {
namespace {

constexpr Progress kReading{};
constexpr Progress kDeciding{.changes = true};
constexpr Progress kCommitting{.changes = true, .last_sent = true};

Progress lost(Progress progress) {
  progress.broken = true;
  return progress;
}

TEST(PostgresPolicy, WhatTheServerHasUndoneIsDoneAgain) {
  for (const char* undone : {"40001", "40P01", "55P03"}) {
    for (const Progress& progress : {kReading, kDeciding, kCommitting}) {
      EXPECT_EQ(judge(undone, progress), Verdict::kRetry) << undone;
    }
  }
}

TEST(PostgresPolicy, AServerThatGoesAwayBeforeTheCommitIsReplaced) {
  for (const char* away : {"57P01", "57P02", "57P03", "08001", "08004", "08006", "25P03"}) {
    EXPECT_EQ(judge(away, lost(kDeciding)), Verdict::kReconnect) << away;
    EXPECT_EQ(judge(away, lost(kReading)), Verdict::kReconnect) << away;
  }
  EXPECT_EQ(judge("", lost(kDeciding)), Verdict::kReconnect) << "lost without a word";
}

TEST(PostgresPolicy, AStandbyIsLeftForThePrimary) {
  EXPECT_EQ(judge("25006", kDeciding), Verdict::kReconnect);
  EXPECT_EQ(judge("25006", kCommitting), Verdict::kReconnect) << "the server refused the write";
}

TEST(PostgresPolicy, AfterTheCommitWasSentALossIsAmbiguous) {
  for (const char* away : {"57P01", "57P02", "57P03", "08006", ""}) {
    EXPECT_EQ(judge(away, lost(kCommitting)), Verdict::kAmbiguous) << away;
  }
}

TEST(PostgresPolicy, AMistakeIsNotRepeated) {
  for (const char* mistake : {"23505", "42601", "22P02", "53100", "42501", "XX001"}) {
    EXPECT_EQ(judge(mistake, kDeciding), Verdict::kFail) << mistake;
    EXPECT_EQ(judge(mistake, kCommitting), Verdict::kFail) << mistake;
  }
}

}  // namespace
}  // namespace provisioner::postgres
