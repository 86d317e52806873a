// One due workspace among 10,000: the real scheduler over the real store on a real PostgreSQL. Its
// clock is in our hands, so that each minute exactly one is due; the peer of its time is what a
// textbook does at every tick: ask for all of them.
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <map>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bench/system/shared/figure.hpp"
#include "bench/system/shared/observed.hpp"
#include "config/workspace_file.hpp"
#include "runtime/random.hpp"
#include "scheduler/loop.hpp"
#include "store/postgres/postgres_store.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/virtual_clock.hpp"

namespace provisioner::bench {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using testing::PostgresServer;

constexpr int kWorkspaces = 10'000;
constexpr int kWriters = 16;
constexpr int kWakeUps = 200;
constexpr int kWarmUps = 20;

const Instant kStart = parse_rfc3339("2026-03-01T00:00:00Z").value();

std::string name_of(int i) { return fmt::format("workspace-{:05}", i); }

// Due for the first time so many minutes after the start.
std::string config_of(int minutes) {
  return fmt::format(R"({{"deploy_schedule": "{} {} {} * *"}})", minutes % 60, minutes / 60 % 24,
                     1 + minutes / (24 * 60));
}

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

class NoLog final : public LogSink {
 public:
  void write(const LogEvent& event) override {
    if (event.level == LogLevel::kWarning) fmt::print("{}\n", event.message);
  }
};

class WakeUps {
 public:
  WakeUps()
      : server_({"fsync=on", "full_page_writes=on", "shared_buffers=128MB"}),
        clock_(loop_.get_executor()),
        minutes_(loop_, kStart) {
    PostgresSettings settings;
    settings.hosts = {{PostgresServer::kHost, server_.port()}};
    settings.database = server_.take_database();
    settings.user = PostgresServer::kUser;
    settings.password = PostgresServer::kPassword;
    store_ = must(testing::run_task(
        loop_, open_postgres_store(loop_.get_executor(), clock_, settings, counters_)));
    publish_all();
    const Leadership seen = must(await(store_->leadership()));
    fence_ = must(await(store_->claim_term(seen.fence, random_.claim_id(), InstanceId("here"),
                                           minutes_.now())))
                 .fence;
    subscription_ = store_->subscribe([this](const Change& change) {
      if (change.topic == Change::Topic::kRun) heard_at_ = steady_clock::now();
    });
    scheduler_ = std::make_unique<Scheduler>(
        loop_.get_executor(), minutes_, random_, *store_, [this] { return fence_; }, read_spec,
        Logger(log_, minutes_, "scheduler"),
        SchedulerSettings{.default_zone = Zone::find("UTC").value(),
                          .full_look = std::chrono::hours(24 * 365),
                          .prune_every = std::chrono::hours(24 * 365)});
    boost::asio::co_spawn(loop_, scheduler_->run(), [this](std::exception_ptr) { ended_ = true; });
    come_to_rest();
  }

  ~WakeUps() {
    scheduler_->stop();
    while (!ended_) turn();
    subscription_.reset();
    store_.reset();
  }

  void measure() {
    std::vector<double> trips, told, spent, peer;
    for (int i = 0; i < kWarmUps + kWakeUps; ++i) {
      const PostgresCounters before = *counters_;
      heard_at_.reset();
      const auto start = steady_clock::now();
      minutes_.advance(1min);
      while (!heard_at_) turn();
      const double ms = std::chrono::duration<double, std::milli>(*heard_at_ - start).count();
      come_to_rest();
      const PostgresCounters after = *counters_;
      const auto all = steady_clock::now();
      if (must(await(store_->workspaces())).size() != kWorkspaces) {
        throw std::runtime_error("a workspace is missing");
      }
      if (i < kWarmUps) continue;
      peer.push_back(seconds_since(all) * 1000);
      spent.push_back(ms);
      told.push_back(static_cast<double>(after.notifications - before.notifications));
      trips.push_back(static_cast<double>(after.round_trips - before.round_trips) + told.back());
    }
    const auto queued = must(await(store_->runs({.limit = kWorkspaces}))).size();
    if (queued != kWarmUps + kWakeUps) {
      throw std::runtime_error(fmt::format("{} runs were queued", queued));
    }
    print({.name = "PostgreSQL, one due of 10,000: round trips of a wake-up",
           .unit = "round trips",
           .ours = percentile(trips, 1),
           .target = 5,
           .note = fmt::format("the most of {} wake-ups, fewest {:.0f}; with the notification of "
                               "others ({:.0f}) and the look at what was queued",
                               kWakeUps, percentile(trips, 0), median(told))});
    print({.name = "PostgreSQL, one due of 10,000: due to queued (p99)",
           .unit = "ms",
           .ours = percentile(spent, 0.99),
           .peer_name = "asking for all",
           .peer = percentile(peer, 0.99),
           .target = 20,
           .note = fmt::format("{} wake-ups: p50 {:.1f}, max {:.1f} ms; asking for all: p50 {:.1f} "
                               "ms; {}",
                               kWakeUps, median(spent), percentile(spent, 1), median(peer),
                               load_average())});
  }

 private:
  static Result<WorkspaceSpec> read_spec(const WorkspaceName& name, std::string_view text) {
    auto parsed = parse_workspace(name, text, "config.json");
    if (!parsed) return std::unexpected(parsed.error());
    return parsed->spec;
  }

  template <typename T>
  T await(Task<T> task) {
    return testing::run_task(loop_, std::move(task));
  }

  void turn() {
    loop_.restart();
    loop_.run_one_for(1ms);
  }

  // Until the scheduler waits and nothing was asked for a while.
  void come_to_rest() {
    std::int64_t seen = -1;
    auto quiet_since = steady_clock::now();
    while (steady_clock::now() - quiet_since < 20ms) {
      turn();
      const std::int64_t asked = counters_->round_trips + counters_->notifications;
      if (asked == seen && minutes_.sleepers() > 0) continue;
      seen = asked;
      quiet_since = steady_clock::now();
    }
  }

  Task<> publish_some(int first) {
    for (int i = first; i < kWorkspaces; i += kWriters) {
      const std::string config = config_of(i + 1);
      must(co_await store_->publish(
          {.workspace = WorkspaceName(name_of(i)),
           .definition = {.config = config, .bundle = BundleHash("content"), .inputs_hash = ""},
           .changed_by = "here",
           .first_cursor = kStart,
           .schedule_hash = config},
          kStart));
    }
    ++writers_done_;
  }

  void publish_all() {
    server_.execute("ALTER SYSTEM SET synchronous_commit = off");
    server_.execute("SELECT pg_reload_conf()");
    must(await(store_->put_bundle(BundleHash("content"), "content")));
    for (int i = 0; i < kWriters; ++i) {
      boost::asio::co_spawn(loop_, publish_some(i), [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
      });
    }
    while (writers_done_ < kWriters) turn();
    server_.execute("ALTER SYSTEM RESET synchronous_commit");
    server_.execute("SELECT pg_reload_conf()");
    server_.execute("CHECKPOINT");
  }

  PostgresServer server_;
  boost::asio::io_context loop_;
  SystemClock clock_;
  testing::SimulatedClock minutes_;
  SystemRandom random_;
  std::shared_ptr<NoLog> log_ = std::make_shared<NoLog>();
  std::shared_ptr<PostgresCounters> counters_ = std::make_shared<PostgresCounters>();
  std::unique_ptr<Store> store_;
  std::optional<LeaderFence> fence_;
  Store::Subscription subscription_;
  std::unique_ptr<Scheduler> scheduler_;
  std::optional<steady_clock::time_point> heard_at_;
  int writers_done_ = 0;
  bool ended_ = false;
};

}  // namespace
}  // namespace provisioner::bench

int main() { provisioner::bench::WakeUps().measure(); }
