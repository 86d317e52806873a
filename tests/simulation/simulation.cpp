#include "tests/simulation/simulation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "config/workspace_file.hpp"
#include "telemetry/log.hpp"
#include "tests/simulation/attempt.hpp"
#include "tests/simulation/faults.hpp"
#include "tests/simulation/instance.hpp"
#include "tofu/state_body.hpp"

namespace provisioner::simulation {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFaultPhase = 8min;
// After the heal: a leader within a lease and its backoff, and everything begun before it ended
// within the longest timeout, lease and number of attempts that may be in a row.
constexpr Duration kLeaderWithin = 30s;
constexpr Duration kAllWithin = 12min;
constexpr Duration kEvery = 1min;  // an occurrence of each workspace

// Lines of the daemons become part of the history.
class History final : public LogSink {
 public:
  explicit History(World& world) : world_(world) {}
  void write(const LogEvent& event) override {
    if (!world_.on_note) return;
    std::string who;
    for (const auto& [key, value] : event.fields) who += (who.empty() ? "" : " ") + value;
    world_.on_note(world_.now(), fmt::format("[{}] {}: {}", who, event.logger, event.message));
  }

 private:
  World& world_;
};

// The files for people are written by a thread: they are no part of the history.
class Silence final : public LogSink {
 public:
  void write(const LogEvent&) override {}
};

class Simulation {
 public:
  Simulation(std::uint64_t seed, const Listeners& listeners);
  ~Simulation();
  SeedReport run();

 private:
  void publish(int workspaces);
  void people();
  Temper temper();
  void look();
  void check_convergence();
  std::string not_converged();
  void check_ledger();
  void check_states();
  void fail_with(const char* invariant, std::string sentence) {
    observer_.violated(invariant, std::move(sentence));
  }
  Instant store_clock() const { return hosts_.front()->wall_now(); }
  Installation all() { return {world_, observer_, store_, election_, hosts_, instances_}; }

  std::uint64_t seed_;
  World world_;
  Timing timing_;
  Observer observer_{world_, timing_.lease, timing_.margin};
  StoreServer store_{world_};
  ElectionServer election_{world_};
  std::shared_ptr<LogSink> history_ = std::make_shared<History>(world_);
  std::vector<std::unique_ptr<Host>> hosts_;
  HostClock no_clock_;
  execution::WorkspaceLog workspace_log_;
  std::vector<std::unique_ptr<Instance>> instances_;
  Faults faults_{all()};
  std::vector<WorkspaceName> workspaces_;
  Instant began_;
  bool calm_ = false;
  Duration healed_at_{0};
  std::optional<Duration> led_since_;
  bool converged_ = false;
};

std::unique_ptr<Host> first_host(World& world) { return std::make_unique<Host>(world, "host-1"); }

Simulation::Simulation(std::uint64_t seed, const Listeners& listeners)
    : seed_(seed),
      world_(seed),
      no_clock_(*hosts_.emplace_back(first_host(world_)), nullptr),
      workspace_log_("/dev/null", Logger(std::make_shared<Silence>(), no_clock_, "log")) {
  if (listeners.line) {
    world_.on_note = [line = listeners.line](Duration at, std::string_view what) {
      line(fmt::format("{:>10.4f} {}", static_cast<double>(at.count()) / 1e6, what));
    };
  }
  // Now and then all instances share a machine.
  const bool one_machine = world_.chance(0.15);
  for (int i = 1; i <= 3; ++i) {
    if (i > 1 && !one_machine) {
      hosts_.push_back(std::make_unique<Host>(world_, fmt::format("host-{}", i)));
    }
    instances_.push_back(std::make_unique<Instance>(Instance::Parts{
        world_, *hosts_.back(), store_, election_, observer_, workspace_log_, history_,
        InstanceId(fmt::format("i{}", i)), timing_, [this] { return temper(); }}));
    observer_.lives_on[instances_.back()->id()] = hosts_.back().get();
  }
  observer_.find_processes = [this](const RunId& run, Attempt attempt) -> AttemptProcesses* {
    for (const auto& host : hosts_) {
      if (auto* found = host->find(run, attempt)) return found;
    }
    return nullptr;
  };
}

Simulation::~Simulation() {
  for (const auto& instance : instances_) instance->kill();
  for (const auto& host : hosts_) {
    for (const auto& attempt : host->attempts) attempt->kill_all();
  }
  world_.settle();
}

void Simulation::publish(int workspaces) {
  const BundleHash bundle("content");
  auto put = store_.now(store_.store().put_bundle(bundle, "content"));
  if (!put) throw std::runtime_error(put.error().message);
  began_ = std::chrono::floor<std::chrono::minutes>(store_clock());
  for (int i = 0; i < workspaces; ++i) {
    const WorkspaceName name(fmt::format("w{}", i));
    const auto parsed = parse_workspace(
        name, R"({"deploy_schedule":"*/2 * * * *","destroy_schedule":"1-59/2 * * * *"})", "config");
    if (!parsed) throw std::runtime_error(parsed.error().message);
    Publication publication;
    publication.workspace = name;
    publication.definition = {parsed->normalised_json, bundle, parsed->inputs_hash};
    publication.changed_by = "simulation";
    publication.first_cursor = began_;
    publication.schedule_hash = parsed->schedule_hash;
    auto published = store_.now(store_.store().publish(publication, began_));
    if (!published) throw std::runtime_error(published.error().message);
    workspaces_.push_back(name);
  }
}

// They order, cancel and release, through an API that works.
void Simulation::people() {
  world_.after(world_.between(5s, 40s), nullptr, [this] {
    people();
    const auto& name = workspaces_[static_cast<std::size_t>(
        world_.number(0, static_cast<std::int64_t>(workspaces_.size()) - 1))];
    auto row = store_.now(store_.store().workspace(name));
    if (!row) return;
    const auto what = world_.number(0, 9);
    if (row->held && what < 5) {
      row->held = false;
      row->hold_reason.clear();
      (void)store_.now(store_.store().update_workspace(*row, store_clock()));
    } else if (what < 6) {
      NewRun order;
      order.id = RunId(fmt::format("order-{}", world_.events()));
      order.workspace = name;
      order.definition = row->current;
      order.created_at = store_clock();
      if (const auto run = store_.now(store_.store().enqueue(order, WhenBusy::kSupersede))) {
        observer_.enqueued(run->id);
      }
    } else if (what < 7) {
      const auto runs = store_.now(store_.store().runs(
          {.workspace = name, .statuses = {RunStatus::kRunning, RunStatus::kQueued}, .limit = 1}));
      if (runs && !runs->empty()) {
        (void)store_.now(store_.store().request_cancel(runs->front().id, store_clock()));
      }
    }
  });
}

Temper Simulation::temper() {
  Temper temper;
  temper.step = world_.between(100ms, 8s);
  temper.states = static_cast<int>(world_.number(1, 4));
  temper.fails = world_.chance(0.1);
  temper.hangs = !calm_ && world_.chance(0.12);
  temper.stubborn = world_.chance(temper.hangs ? 0.4 : 0.1);
  if (world_.chance(0.15)) temper.grandchild = world_.between(1s, 100s);
  return temper;
}

// After every step.
void Simulation::look() {
  std::vector<InstanceId> leaders;
  for (const auto& instance : instances_) {
    if (!instance->fence()) continue;
    leaders.push_back(instance->id());
    observer_.believes(instance->id(), instance->host().boot_now());
  }
  observer_.leaders(leaders);
  constexpr std::uint64_t kNowAndThen = 16;
  if (world_.events() % kNowAndThen != 0) return;
  for (const auto& host : hosts_) {
    for (const auto& attempt : host->attempts) {
      if (attempt->works()) observer_.tofu_works(*attempt);
    }
  }
}

// Why not; "" when it has.
std::string Simulation::not_converged() {
  const auto runs = store_.now(
      store_.store().runs({.statuses = {RunStatus::kQueued, RunStatus::kRunning}, .limit = 1000}));
  for (const auto& run : *runs) {
    const auto created = observer_.created().find(run.id);
    if (created != observer_.created().end() && created->second < healed_at_) {
      return fmt::format("run {} of {} is still {}, attempt {} of {}", run.id.value,
                         run.workspace.value, to_string(run.status), run.attempt.value,
                         run.instance.value);
    }
  }
  std::set<std::pair<RunId, Attempt>> running;
  for (const auto& row : *store_.now(store_.store().running_attempts())) {
    running.emplace(row.run, row.attempt);
  }
  for (const auto& host : hosts_) {
    if (faults_.ill() != nullptr && &faults_.ill()->host() == host.get()) continue;
    for (const auto& attempt : host->attempts) {
      if (attempt->any_alive() &&
          !running.contains({attempt->fence().run, attempt->fence().attempt})) {
        // It may be about to go.
        return fmt::format("{} of the ended attempt {} of run {} lives", attempt->living(),
                           attempt->fence().attempt.value, attempt->fence().run.value);
      }
    }
    for (const auto& [path, files] : host->directories) {
      if (!files.note || !running.contains({files.note->fence.run, files.note->fence.attempt})) {
        return fmt::format("the directory {} of an ended attempt is left", path);
      }
    }
  }
  for (const auto& cursor : *store_.now(store_.store().cursors())) {
    if (cursor.cursor < store_clock() - kEvery - 30s) {
      return fmt::format("the schedule of {} was followed until {} only", cursor.workspace.value,
                         format_rfc3339(cursor.cursor));
    }
  }
  return "";
}

void Simulation::check_convergence() {
  const Duration since = world_.now() - healed_at_;
  int leaders = 0;
  const auto row = store_.now(store_.store().leadership());
  for (const auto& instance : instances_) {
    const auto fence = instance->fence();
    if (fence && row && *fence == row->fence) ++leaders;
  }
  if (leaders == 1 && !led_since_) led_since_ = world_.now();
  if (leaders != 1) led_since_.reset();
  if (!led_since_ && since > kLeaderWithin) {
    return fail_with("I7", fmt::format("{} after the heal nobody leads", format_duration(since)));
  }
  const std::string why = not_converged();
  if (why.empty() && led_since_ && world_.now() - *led_since_ >= 10s) {
    converged_ = true;
  } else if (since > kAllWithin) {
    fail_with("I7", fmt::format("{} after the heal {}", format_duration(since), why));
  }
}

// I3: each instant at which a schedule said something is in exactly one row.
void Simulation::check_ledger() {
  for (const auto& name : workspaces_) {
    const auto view = store_.now(store_.store().view({.workspace = name}));
    const auto rows = store_.now(store_.store().occurrences({.workspace = name, .limit = 100'000}));
    std::set<RunId> started;
    for (const auto& row : *rows) {
      if (row.outcome == Outcome::kFired && row.run && !started.insert(*row.run).second) {
        fail_with("I3", fmt::format("run {} belongs to two occurrences", row.run->value));
      }
    }
    for (Instant at = began_ + kEvery; at <= view->cursor.cursor; at += kEvery) {
      const auto covering = std::ranges::count_if(
          *rows, [&](const Occurrence& o) { return o.at <= at && at <= o.until; });
      if (covering == 1) continue;
      fail_with("I3", fmt::format("occurrence {} of {} is in {} rows of the ledger",
                                  format_rfc3339(at), name.value, covering));
    }
  }
}

// I5 and I8: what tofu wrote is in the store, or was kept for a person, or lies on an ill host.
void Simulation::check_states() {
  std::set<std::string> safe;
  for (const auto& host : hosts_) {
    for (const auto* place : {&host->directories, &host->kept}) {
      for (const auto& [path, files] : *place) {
        for (const auto& [number, body] : files.spooled) {
          safe.insert(tofu::parse_state(body)->sha256);
        }
        if (files.errored) safe.insert(tofu::parse_state(*files.errored)->sha256);
      }
    }
  }
  for (const auto& [name, made] : observer_.states_made()) {
    const auto versions = store_.now(store_.store().state_versions({name, ""}));
    std::set<std::string> stored;
    for (const auto& version : *versions) stored.insert(version.meta.sha256);
    for (const auto& state : made) {
      if (stored.contains(state) || safe.contains(state)) continue;
      fail_with("I8", fmt::format("a state of {} that tofu handed over is nowhere", name.value));
    }
  }
}

SeedReport Simulation::run() {
  publish(static_cast<int>(world_.number(4, 8)));
  for (const auto& instance : instances_) {
    world_.after(world_.between(0s, 3s), nullptr, [&one = *instance] { one.start(); });
  }
  people();
  const bool but_one = world_.chance(0.5);
  faults_.plan(20s, kFaultPhase, world_.number(12, 24));
  world_.at(kFaultPhase, nullptr, [this, but_one] {
    calm_ = true;
    faults_.heal(but_one);
    healed_at_ = world_.now();
  });
  Duration next_check = kFaultPhase + 1s;
  while (!observer_.violation() && !converged_) {
    const bool stepped = world_.step(next_check);
    if (stepped) {
      look();
      continue;
    }
    check_convergence();
    next_check += 1s;
  }
  if (!observer_.violation()) check_ledger();
  if (!observer_.violation()) check_states();

  SeedReport report;
  report.seed = seed_;
  report.violation = observer_.violation();
  report.figures = observer_.figures();
  report.figures.runs = static_cast<std::int64_t>(observer_.created().size());
  report.faults = faults_.struck();
  report.events = world_.events();
  report.trace = world_.trace();
  report.time = world_.now();
  return report;
}

}  // namespace

SeedReport simulate(std::uint64_t seed, const Listeners& listeners) {
  return Simulation(seed, listeners).run();
}

std::string sentence_of(const SeedReport& report) {
  const Figures& f = report.figures;
  std::string text = fmt::format("seed {}: ", report.seed);
  if (report.violation) {
    text += fmt::format("{} is broken after {}: {} (", report.violation->invariant,
                        format_duration(report.time), report.violation->sentence);
  }
  text += fmt::format(
      "{} faults, {} runs, {} attempts, {} in flight when a fault struck, {} interrupted, {} "
      "terms, "
      "{} occurrences, {} states, {} events",
      f.faults, f.runs, f.attempts, f.in_flight, f.interrupted, f.terms, f.occurrences, f.states,
      report.events);
  return text + (report.violation ? ")" : "");
}

}  // namespace provisioner::simulation
