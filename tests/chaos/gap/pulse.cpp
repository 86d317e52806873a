#include "tests/chaos/gap/pulse.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <future>
#include <stdexcept>

#include "runtime/clock.hpp"
#include "store/postgres/postgres_store.hpp"
#include "store/store.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {

using namespace std::chrono_literals;

namespace {

constexpr int kBeating = 16;
constexpr auto kPatience = 120s;

constexpr const char* kRecord = R"sql(
CREATE TABLE decided (at TIMESTAMPTZ NOT NULL, term BIGINT NOT NULL);
CREATE FUNCTION note_decision() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO public.decided
  SELECT clock_timestamp(), term FROM public.leader_election WHERE id = 'scheduler';
  RETURN NULL;
END $$;
CREATE TRIGGER note_decision AFTER UPDATE ON workspace_states FOR EACH ROW
  WHEN (OLD.ttl_expires_at IS NOT NULL AND NEW.ttl_expires_at IS NULL)
  EXECUTE FUNCTION note_decision();

CREATE TABLE led (at TIMESTAMPTZ NOT NULL, term BIGINT NOT NULL, leader TEXT NOT NULL);
CREATE FUNCTION note_leader() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO public.led VALUES (clock_timestamp(), NEW.term, NEW.leader_id);
  RETURN NULL;
END $$;
CREATE TRIGGER note_leader AFTER UPDATE ON leader_election FOR EACH ROW
  WHEN (NEW.term <> OLD.term OR NEW.leader_id <> OLD.leader_id)
  EXECUTE FUNCTION note_leader();
)sql";

// The rest as copies of a first one, which came from its folder.
constexpr const char* kCopy = R"sql(
INSERT INTO workspace_states (name, status, enabled, published_enabled, detached, held, hold_reason,
  template_name, description, config, bundle, inputs_hash, deployed_mode, failed_destroys)
SELECT format('%s-%s', CASE WHEN i <= {0} THEN 'beating' ELSE 'quiet' END, lpad(i::text, 5, '0')),
  CASE WHEN i <= {0} THEN 'deployed' ELSE 'pending' END, enabled, published_enabled, detached, held,
  hold_reason, template_name, description, config, bundle, inputs_hash, deployed_mode, 0
FROM workspace_states, generate_series(1, {1}) AS i WHERE name = 'first';
INSERT INTO schedules (workspace, cursor, config_version, schedule_hash)
SELECT w.name, s.cursor, s.config_version, s.schedule_hash
FROM workspace_states AS w, schedules AS s WHERE s.workspace = 'first' AND w.name <> 'first';
ANALYZE;
)sql";

double number(Cluster& cluster, const std::string& sql) {
  const auto rows = cluster.sql(sql);
  if (rows.empty() || rows[0].empty()) throw std::runtime_error("no figure from " + sql);
  return std::stod(rows[0]);
}

// Seldom: each look is a connection of its own, and takes from the machine what is measured on it.
bool eventually_in_peace(const std::function<bool()>& condition) {
  return eventually(kPatience, [&] {
    std::this_thread::sleep_for(250ms);
    return condition();
  });
}

std::int64_t decisions(Cluster& cluster) {
  return std::stoll(cluster.sql("SELECT count(*) FROM decided").at(0));
}

}  // namespace

// Lets a time to live end every few milliseconds, as a program of its own beside the cluster.
class Pulse::Beating {
 public:
  explicit Beating(PostgresSettings settings)
      : settings_(std::move(settings)), thread_([this] { run(); }) {}
  ~Beating() {
    loop_.stop();
    thread_.join();
  }

 private:
  void run() {
    boost::asio::co_spawn(loop_, beat(), [](std::exception_ptr bug) {
      if (bug) std::rethrow_exception(bug);
    });
    loop_.run();
  }

  Task<> beat() {
    auto opened = co_await open_postgres_store(loop_.get_executor(), clock_, settings_);
    if (!opened) throw std::runtime_error(opened.error().message);
    store_ = std::move(*opened);
    BootInstant next = clock_.boot_now();
    for (int i = 0;; i = (i + 1) % kBeating) {
      const WorkspaceName name(fmt::format("beating-{:05}", i + 1));
      auto row = co_await store_->workspace(name);
      if (row && !row->ttl_expires_at) {
        row->ttl_expires_at = clock_.now() - 1s;
        // Lost races and a database that was restarted: the next beat is as good.
        (void)co_await store_->update_workspace(*std::move(row), clock_.now());
      }
      next = std::max(next + kInterval, clock_.boot_now());
      co_await clock_.sleep_until(next);
    }
  }

  PostgresSettings settings_;
  boost::asio::io_context loop_;
  SystemClock clock_{loop_.get_executor()};
  std::unique_ptr<Store> store_;
  std::thread thread_;
};

Pulse::Pulse(Cluster& cluster) : cluster_(cluster) {
  cluster_.add_workspace("first", {{"deploy_schedule", "0 3 1 1 *"},
                                   {"destroy_schedule", {"0 4 1 1 *", "30 4 2 1 *"}}});
  const bool published = eventually(kPatience, [&] {
    return !cluster_.sql("SELECT 1 FROM schedules WHERE workspace = 'first'").empty();
  });
  if (!published) throw std::runtime_error("a folder was not published");
  cluster_.sql(fmt::format(kCopy, kBeating, kWorkspaces));
  cluster_.sql(kRecord);
  PostgresSettings settings;
  settings.hosts = {{PostgresServer::kHost, cluster_.postgres().port()}};
  settings.database = cluster_.database();
  settings.user = PostgresServer::kUser;
  settings.password = PostgresServer::kPassword;
  settings.instance = "pulse";
  beating_ = std::make_unique<Beating>(std::move(settings));
  await(200);
}

Pulse::~Pulse() = default;

Pulse::Gap Pulse::gap_after(std::int64_t term) {
  const bool decided = eventually_in_peace([&] {
    return !cluster_.sql(fmt::format("SELECT 1 FROM decided WHERE term > {} LIMIT 1", term))
                .empty();
  });
  if (!decided) throw std::runtime_error("nobody decides");
  const auto at = [&](const std::string& what) {
    return number(cluster_, fmt::format("SELECT extract(epoch FROM ({})) * 1000", what));
  };
  const double last = at(fmt::format("SELECT max(at) FROM decided WHERE term = {}", term));
  const double claimed = at(fmt::format("SELECT min(at) FROM led WHERE term > {}", term));
  const double first = at(fmt::format("SELECT min(at) FROM decided WHERE term > {}", term));
  const double ended =
      at(fmt::format("SELECT coalesce((SELECT min(at) FROM led WHERE term = {0} AND leader = ''), "
                     "(SELECT max(at) FROM decided WHERE term = {0}))",
                     term));
  return {.total = first - last,
          .to_end = ended - last,
          .to_claim = claimed - ended,
          .to_decision = first - claimed};
}

void Pulse::await(int more) {
  const std::int64_t wanted = decisions(cluster_) + more;
  if (!eventually_in_peace([&] { return decisions(cluster_) >= wanted; })) {
    throw std::runtime_error("nobody decides");
  }
}

std::vector<double> Pulse::intervals() {
  std::vector<double> all;
  for (const auto& text : cluster_.sql(
           "SELECT extract(epoch FROM since) * 1000 FROM (SELECT at - lag(at) OVER (PARTITION BY "
           "term ORDER BY at) AS since FROM decided) AS d WHERE since IS NOT NULL")) {
    all.push_back(std::stod(text));
  }
  return all;
}

int Pulse::late_decisions() {
  return static_cast<int>(
      number(cluster_,
             "SELECT count(*) FROM decided AS d WHERE EXISTS (SELECT 1 FROM (SELECT term, min(at) "
             "AS begun FROM decided GROUP BY term) AS t WHERE t.term > d.term AND t.begun < "
             "d.at)"));
}

}  // namespace provisioner::testing
