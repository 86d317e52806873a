// What a wake-up of the scheduler costs with 100,000 workspaces, and a year's backlog of every
// minute; each beside what a textbook would do.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "scheduler/agenda.hpp"
#include "scheduler/plan.hpp"
#include "scheduler/reconcile.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkspaces = 100'000;
constexpr int kDue = 10;

struct Subject {
  explicit Subject(std::string_view cron)
      : timeline({{"deploy_schedule", Action::kDeploy, "", CronExpression::parse(cron).value()}},
                 Zone::find("Europe/Berlin").value(), {}) {
    workspace.name = WorkspaceName("shop");
    workspace.status = WorkspaceStatus::kDestroyed;
  }
  Situation situation(Instant cursor, Instant now) const {
    return {.spec = spec,
            .timeline = timeline,
            .workspace = workspace,
            .cursor = cursor,
            .neighbours = {},
            .now = now};
  }

  WorkspaceSpec spec;
  Timeline timeline;
  Workspace workspace;
};

const Instant kStart = parse_rfc3339("2026-03-02T00:00:00Z").value();

// Ten are due each minute: taken out, planned, noted for their next instant.
void BM_WakeUpWithTenOfHundredThousandDue(benchmark::State& state) {
  const Subject subject("0 0 * * *");
  Agenda agenda;
  for (int i = 0; i < kWorkspaces; ++i) {
    agenda.note(WorkspaceName(fmt::format("workspace-{}", i)), kStart + (i / kDue) * 1min);
  }
  Instant now = kStart;
  for (auto _ : state) {
    const auto due = agenda.take_due(now, 32);
    for (const auto& name : due) {
      const auto s = subject.situation(now - 24h, now);
      benchmark::DoNotOptimize(plan(s));
      benchmark::DoNotOptimize(next_occurrence_at(s));
      agenda.note(name, now + (kWorkspaces / kDue) * 1min);
    }
    if (due.size() != kDue) state.SkipWithError("ten should be due");
    now += 1min;
  }
}
BENCHMARK(BM_WakeUpWithTenOfHundredThousandDue)->Unit(benchmark::kMicrosecond);

// The textbook: every tick asks every workspace.
void BM_TextbookTickOverHundredThousand(benchmark::State& state) {
  const Subject subject("0 0 * * *");
  for (auto _ : state) {
    int due = 0;
    for (int i = 0; i < kWorkspaces; ++i) {
      const auto next = subject.timeline.next(kStart + std::chrono::seconds(i));
      due += next && *next && (*next)->at <= kStart ? 1 : 0;
    }
    benchmark::DoNotOptimize(due);
  }
}
BENCHMARK(BM_TextbookTickOverHundredThousand)->Unit(benchmark::kMicrosecond);

void BM_PlanAYearOfEveryMinute(benchmark::State& state) {
  const Subject subject("* * * * *");
  std::size_t rows = 0;
  for (auto _ : state) {
    const auto p = plan(subject.situation(kStart, kStart + 24h * 365));
    rows = p->occurrences.size();
  }
  state.counters["rows"] = static_cast<double>(rows);
}
BENCHMARK(BM_PlanAYearOfEveryMinute)->Unit(benchmark::kMicrosecond);

// The textbook: one by one, a row each.
void BM_TextbookYearOfEveryMinute(benchmark::State& state) {
  const Subject subject("* * * * *");
  std::size_t rows = 0;
  for (auto _ : state) {
    std::vector<Occurrence> ledger;
    Instant cursor = kStart;
    while (true) {
      const auto next = subject.timeline.next(cursor);
      if (!next || !*next || (*next)->at > kStart + 24h * 365) break;
      cursor = (*next)->at;
      ledger.push_back({.workspace = subject.workspace.name,
                        .schedule = "deploy_schedule",
                        .at = cursor,
                        .until = cursor,
                        .local_time = subject.timeline.local_time(cursor)});
    }
    rows = ledger.size();
  }
  state.counters["rows"] = static_cast<double>(rows);
}
BENCHMARK(BM_TextbookYearOfEveryMinute)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace provisioner
