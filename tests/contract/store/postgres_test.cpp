// The PostgreSQL store against the contract, and what only a server and a network can do to us.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <libpq-fe.h>

#include <fstream>
#include <future>
#include <optional>

#include "tests/contract/store/cutting_proxy.hpp"
#include "tests/contract/store/jobs_contract.hpp"
#include "tests/contract/store/postgres_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using testing::CuttingProxy;
using ::testing::HasSubstr;
using testing::PostgresServer;

constexpr std::chrono::seconds kPatience(60);

const auto kPostgres = ::testing::Values(StoreMaker{
    .name = "postgres", .fresh = [] {
      auto database =
          std::make_shared<Database>(PostgresServer::shared(), Database::Schema::kMigrated);
      return [database, open = PostgresOpener()](boost::asio::io_context& loop) mutable {
        return open(loop, database->settings());
      };
    }});

INSTANTIATE_TEST_SUITE_P(Postgres, StoreContract, kPostgres,
                         [](const auto& i) { return i.param.name; });
INSTANTIATE_TEST_SUITE_P(Postgres, JobsContract, kPostgres,
                         [](const auto& i) { return i.param.name; });

class Postgres : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Store>> open(const PostgresSettings& settings) {
    return open_(loop_, settings);
  }
  Result<std::unique_ptr<Store>> open() { return open(database_.settings()); }

  template <typename T>
  T await(Task<T> task) {
    return testing::run_task(loop_, std::move(task));
  }
  // Begins a task; its answer is there once the loop has been turned for long enough.
  template <typename T>
  std::shared_ptr<std::optional<T>> begin(Task<T> task) {
    auto answer = std::make_shared<std::optional<T>>();
    boost::asio::co_spawn(loop_, std::move(task),
                          [answer](std::exception_ptr, T value) { *answer = std::move(value); });
    return answer;
  }
  bool turn_until(const std::function<bool()>& condition) {
    return testing::eventually(kPatience, [&] {
      loop_.restart();
      loop_.poll();
      return condition();
    });
  }

  // The store goes on meanwhile: a connection that it is opening would keep a server from stopping.
  void while_turning(const std::function<void()>& work) {
    auto done = std::async(std::launch::async, work);
    EXPECT_TRUE(turn_until(
        [&] { return done.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
    done.get();
  }

  Result<Leadership> claim(Store& store, const std::string& instance = "host-1") {
    const Leadership seen = must(await(store.leadership()));
    return await(store.claim_term(seen.fence, random_.claim_id(), InstanceId(instance), now_));
  }
  void given_workspace(Store& store) {
    must(await(store.put_bundle(BundleHash("b"), "content")));
    must(await(store.publish({.workspace = WorkspaceName("shop"),
                              .definition = {.config = "{}", .bundle = BundleHash("b")},
                              .first_cursor = now_},
                             now_)));
  }
  PlanCommit plan(Store& store) {
    const ScheduleCursor present =
        must(await(store.view({.workspace = WorkspaceName("shop")}))).cursor;
    return {.workspace = present.workspace,
            .config_version = present.config_version,
            .new_cursor = present.cursor + std::chrono::minutes(1),
            .occurrences = {{.workspace = present.workspace,
                             .schedule = "deploy_schedule",
                             .at = present.cursor + std::chrono::minutes(1),
                             .until = present.cursor + std::chrono::minutes(1)}}};
  }
  Instant later() const { return now_ + std::chrono::hours(24); }

  Instant now_ = *parse_rfc3339("2026-11-23T08:00:00Z");
  SystemRandom random_;
  boost::asio::io_context loop_;
  PostgresServer& server_ = PostgresServer::shared();
  Database database_;
  PostgresOpener open_;
};

// A session of somebody who is stopped: it does what it is told, and then nothing any more.
class StoppedSession {
 public:
  StoppedSession(const PostgresSettings& at, const std::string& sql)
      : connection_(PQconnectdb(fmt::format("host={} port={} dbname={} user={} password='{}' "
                                            "application_name='provisioner of-a-stopped-daemon'",
                                            at.hosts[0].name, at.hosts[0].port, at.database,
                                            at.user, at.password)
                                    .c_str()),
                    PQfinish) {
    EXPECT_TRUE(execute(sql)) << PQerrorMessage(connection_.get());
  }

  bool execute(const std::string& sql) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(
        PQexec(connection_.get(), sql.c_str()), PQclear);
    const auto status = PQresultStatus(result.get());
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
  }

 private:
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

TEST_F(Postgres, SaysWhatItIs) {
  EXPECT_THAT(must(open())->describe(), AllOf(HasSubstr("postgresql 1"), HasSubstr("schema 5")));
}

TEST_F(Postgres, AWrongPasswordIsDeniedAndSaysForWhom) {
  PostgresSettings settings = database_.settings();
  settings.password = "a secret";
  const auto refused = open(settings);
  ASSERT_EQ(outcome(refused), "denied") << refused.error().message;
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr("password authentication failed"), HasSubstr("provisioner")));
  EXPECT_THAT(refused.error().message, ::testing::Not(HasSubstr(settings.password)));
}

TEST_F(Postgres, AnUnknownDatabaseIsInvalid) {
  PostgresSettings settings = database_.settings();
  settings.database = "nowhere";
  const auto refused = open(settings);
  ASSERT_EQ(outcome(refused), "invalid");
  EXPECT_THAT(refused.error().message, HasSubstr("\"nowhere\" does not exist"));
}

TEST_F(Postgres, AnUnreachableHostIsUnavailableAndNamed) {
  PostgresSettings settings = database_.settings();
  settings.hosts = {{"127.0.0.1", 1}, {"no-such-host.invalid", 5432}};
  const auto refused = open(settings);
  ASSERT_EQ(outcome(refused), "unavailable");
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr("127.0.0.1"), HasSubstr("port 1"), HasSubstr("refused"),
                    HasSubstr("no-such-host.invalid")));
}

TEST_F(Postgres, AHostThatSaysNothingDoesNotKeepUsFromTheNext) {
  using boost::asio::ip::tcp;
  // Connects are accepted by the system, and never answered.
  tcp::acceptor silent(loop_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  PostgresSettings settings = database_.settings();
  settings.hosts.insert(settings.hosts.begin(), {"127.0.0.1", silent.local_endpoint().port()});
  settings.connect_deadline = std::chrono::milliseconds(1500);
  const auto store = must(open(settings));
  EXPECT_EQ(outcome(await(store->leadership())), "ok");
}

TEST_F(Postgres, OnceItCannotBeReachedCallsFailAtOnceAndFindItSoonWhenItIsBack) {
  SystemClock clock(loop_.get_executor());
  // A timeout that nothing in this test outlasts; a short one afterwards.
  const auto breaker = std::make_shared<CircuitBreaker>(
      BreakerSettings{.max_failures = 2, .max_requests = 1, .timeout = std::chrono::hours(1)});
  const auto counters = std::make_shared<PostgresCounters>();
  const auto store = must(await(
      open_postgres_store(loop_.get_executor(), clock, database_.settings(), counters, breaker)));
  while_turning([&] { server_.stop(); });
  std::string said;
  ASSERT_TRUE(turn_until([&] {
    const auto answer = await(store->leadership());
    if (!answer) said = answer.error().message;
    return said.contains("is tried again at");
  })) << said;
  EXPECT_EQ(breaker->state(clock.boot_now()), BreakerState::kOpen);
  EXPECT_THAT(said, AllOf(HasSubstr("cannot be reached since"), HasSubstr("refused")));
  EXPECT_EQ(outcome(await(store->leadership())), "unavailable");

  server_.start();
  EXPECT_EQ(outcome(await(store->leadership())), "unavailable") << "it is not asked yet";
  *breaker = CircuitBreaker({.max_failures = 1, .max_requests = 1, .timeout = Duration::zero()});
  breaker->failed(clock.boot_now());
  EXPECT_TRUE(turn_until([&] { return outcome(await(store->leadership())) == "ok"; }));
  EXPECT_EQ(breaker->state(clock.boot_now()), BreakerState::kClosed) << "one good probe is enough";
}

TEST_F(Postgres, ANewerSchemaIsRefusedAndUntouched) {
  must(open());
  database_.execute("INSERT INTO schema_migrations (version, name) VALUES (99, 'of the future')");
  const auto refused = open();
  ASSERT_EQ(outcome(refused), "invalid");
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("schema 99"), HasSubstr("newer")));
}

TEST_F(Postgres, TablesOfAnotherProgramAreRefused) {
  database_.execute("CREATE TABLE workspace_states (name TEXT)");
  const auto refused = open();
  ASSERT_EQ(outcome(refused), "invalid");
  EXPECT_THAT(refused.error().message, HasSubstr("another program"));
}

TEST_F(Postgres, InstancesThatStartTogetherMigrateOnce) {
  SystemClock clock(loop_.get_executor());
  std::vector<std::shared_ptr<std::optional<Result<std::unique_ptr<Store>>>>> opened;
  for (int i = 0; i < 5; ++i) {
    opened.push_back(begin(open_postgres_store(loop_.get_executor(), clock, database_.settings())));
  }
  for (const auto& store : opened) {
    ASSERT_TRUE(turn_until([&] { return store->has_value(); }));
    EXPECT_EQ(outcome(**store), "ok");
  }
  EXPECT_EQ(database_.execute("SELECT count(*) - max(version) FROM schema_migrations"),
            std::vector<std::string>{"0"});
}

TEST_F(Postgres, I9_AReplyThatIsLostAfterTheCommitIsAmbiguousAndCanBeLookedUp) {
  CuttingProxy proxy(loop_, server_.port(), "COMMIT");
  PostgresSettings settings = database_.settings();
  settings.hosts[0].port = proxy.port();
  settings.sslmode = "disable";
  settings.max_idle_conns = 0;  // each connection sends the text of its statements
  const auto store = must(open(settings));
  for (const bool done : {false, true}) {
    const Leadership seen = must(await(store->leadership()));
    const ClaimId fresh = random_.claim_id();
    proxy.cut(done ? CuttingProxy::Cut::kBeforeClient : CuttingProxy::Cut::kBeforeServer);
    const auto claimed = await(store->claim_term(seen.fence, fresh, InstanceId("host-1"), now_));
    ASSERT_EQ(outcome(claimed), "ambiguous") << done;
    EXPECT_THAT(claimed.error().message, HasSubstr("looked up"));
    EXPECT_EQ(must(await(store->leadership())).fence.claim == fresh, done);
  }
  EXPECT_EQ(proxy.cuts(), 2);
  EXPECT_EQ(open_.counters().ambiguous, 2);
}

TEST_F(Postgres, AConnectionThatIsLostBeforeTheCommitIsReplacedAndTheCallRepeated) {
  CuttingProxy proxy(loop_, server_.port(), "FOR NO KEY UPDATE");
  PostgresSettings settings = database_.settings();
  settings.hosts[0].port = proxy.port();
  settings.sslmode = "disable";
  settings.max_idle_conns = 0;
  const auto store = must(open(settings));
  given_workspace(*store);
  proxy.cut(CuttingProxy::Cut::kBeforeClient);
  EXPECT_EQ(outcome(await(store->detach(WorkspaceName("shop"), InstanceId(), "uid:0", now_))),
            "ok");
  EXPECT_EQ(proxy.cuts(), 1);
  EXPECT_EQ(open_.counters().transactions_repeated, 1);
}

TEST_F(Postgres, ACommitThatGaveUpWaitingForItsStandbyIsAmbiguous) {
  const auto store = must(open());
  const Leadership seen = must(await(store->leadership()));
  const auto set_standby = [&](const std::string& name) {
    server_.execute(fmt::format("ALTER SYSTEM SET synchronous_standby_names = '{}'", name));
    server_.execute("SELECT pg_reload_conf()");
    ASSERT_TRUE(testing::eventually(
        kPatience, [&] { return server_.execute("SHOW synchronous_standby_names")[0] == name; }));
  };
  set_standby("nobody");
  const ClaimId fresh = random_.claim_id();
  const auto claimed = begin(store->claim_term(seen.fence, fresh, InstanceId("host-1"), now_));
  EXPECT_TRUE(turn_until([&] {
    server_.execute(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = "
        "'SyncRep'");
    return claimed->has_value();
  }));
  set_standby("");
  ASSERT_EQ(outcome(**claimed), "ambiguous");
  EXPECT_EQ(must(await(store->leadership())).fence.claim, fresh);
}

TEST_F(Postgres, TerminatedSessionsAreReplaced) {
  const auto store = must(open());
  given_workspace(*store);
  for (int i = 0; i < 3; ++i) {
    database_.execute(
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = "
        "current_database() AND pid <> pg_backend_pid()");
    EXPECT_EQ(outcome(await(store->workspace(WorkspaceName("shop")))), "ok");
    EXPECT_EQ(outcome(claim(*store)), "ok");
  }
}

TEST_F(Postgres, ARestartOfTheServerIsSurvived) {
  const auto store = must(open());
  given_workspace(*store);
  while_turning([&] { server_.stop(); });
  const auto away = await(store->workspace(WorkspaceName("shop")));
  ASSERT_EQ(outcome(away), "unavailable");
  EXPECT_THAT(away.error().message, HasSubstr(fmt::format("port {}", server_.port())));
  server_.start();
  EXPECT_EQ(outcome(await(store->workspace(WorkspaceName("shop")))), "ok");
  EXPECT_EQ(outcome(claim(*store)), "ok");
}

TEST_F(Postgres, AFailoverEndsTheTermAndAPrimaryOfThePastIsRefused) {
  PostgresServer promoted;
  const Database there(promoted);
  PostgresSettings settings = there.settings();
  const auto store = must(open(settings));
  given_workspace(*store);
  const LeaderFence before = must(claim(*store)).fence;

  while_turning([&] { promoted.stop(); });
  std::ofstream(promoted.directory() / "data/standby.signal").close();
  promoted.start();
  const auto reads_only = await(store->leadership());
  ASSERT_EQ(outcome(reads_only), "unavailable");
  EXPECT_THAT(reads_only.error().message, HasSubstr("read-only"));
  promoted.execute("SELECT pg_promote()");

  // The term was claimed on the first timeline.
  EXPECT_EQ(outcome(await(store->commit_plan(before, plan(*store), later()))), "fenced");
  const LeaderFence after = must(claim(*store)).fence;
  EXPECT_EQ(after.term, before.term.next());
  EXPECT_EQ(outcome(await(store->commit_plan(after, plan(*store), later()))), "ok");

  // On its address a server comes back that was never promoted.
  settings.hosts.push_back({PostgresServer::kHost, server_.port()});
  ASSERT_EQ(settings.database, database_.settings().database);
  const auto both = must(open(settings));
  while_turning([&] { promoted.stop(); });
  const auto past = await(both->leadership());
  promoted.start();
  ASSERT_EQ(outcome(past), "unavailable");
  EXPECT_THAT(past.error().message,
              AllOf(HasSubstr("timeline 1"), HasSubstr("timeline 2"), HasSubstr("past")));
}

TEST_F(Postgres, ALeaderStoppedInsideItsDecisionDoesNotHoldUpTheNext) {
  const auto store = must(open());
  const LeaderFence stopped = must(claim(*store, "host-1")).fence;
  StoppedSession session(database_.settings(),
                         fmt::format("BEGIN; SELECT require_leader({}, '{}')", stopped.term.value,
                                     stopped.claim.value));
  EXPECT_EQ(outcome(claim(*store, "host-2")), "ok");
  EXPECT_FALSE(session.execute("COMMIT")) << "its decision was committed under the next term";
}

TEST_F(Postgres, AWakeUpIsReadInOneRoundTripAndDecidedInTwo) {
  const auto store = must(open());
  given_workspace(*store);
  const LeaderFence fence = must(claim(*store)).fence;
  // Notifications that are on their way at the same time may add some of their own.
  std::int64_t read = 100, decided = 100;
  for (int i = 0; i < 5; ++i) {
    auto before = open_.counters().round_trips;
    PlanCommit decision = plan(*store);
    read = std::min(read, open_.counters().round_trips - before);
    decision.run = NewRun{.id = random_.run_id(now_),
                          .workspace = decision.workspace,
                          .definition = {.config = "{}", .bundle = BundleHash("b")},
                          .created_at = now_};
    before = open_.counters().round_trips;
    must(await(store->commit_plan(fence, decision, later())));
    decided = std::min(decided, open_.counters().round_trips - before);
  }
  EXPECT_EQ(read, 1);
  EXPECT_EQ(decided, 2) << "with a run that takes the place of the one that waited";
}

TEST_F(Postgres, SeveralHostsWithoutSynchronousReplicationAreAWarning) {
  EXPECT_THAT(must(open())->warnings(), ::testing::IsEmpty());
  PostgresSettings settings = database_.settings();
  settings.hosts.push_back(settings.hosts[0]);
  EXPECT_THAT(must(open(settings))->warnings(),
              ::testing::ElementsAre(HasSubstr("a fail-over may lose runs")));
}

TEST_F(Postgres, CallsWaitForAConnectionAndAllGetOne) {
  PostgresSettings settings = database_.settings();
  settings.max_connections = 2;
  const auto store = must(open(settings));
  std::vector<std::shared_ptr<std::optional<Status>>> answers;
  for (int i = 0; i < 50; ++i) {
    answers.push_back(begin(store->audit({.actor = "uid:0", .action = std::to_string(i)})));
  }
  for (const auto& answer : answers) {
    ASSERT_TRUE(turn_until([&] { return answer->has_value(); }));
    EXPECT_EQ(outcome(**answer), "ok");
  }
  EXPECT_LE(open_.counters().connections_opened, 4);
}

TEST_F(Postgres, ABurstOfCallsFindsTheConnectionsOfTheOneBefore) {
  constexpr int kBurst = 8;
  PostgresSettings settings = database_.settings();
  settings.max_connections = kBurst;
  settings.max_idle_conns = 1;
  const auto store = must(open(settings));
  const auto burst = [&] {
    std::vector<std::shared_ptr<std::optional<Result<Leadership>>>> answers;
    for (int i = 0; i < kBurst; ++i) answers.push_back(begin(store->leadership()));
    ASSERT_TRUE(turn_until([&] {
      return std::ranges::all_of(answers, [](const auto& a) { return a->has_value(); });
    }));
    for (const auto& answer : answers) EXPECT_EQ(outcome(**answer), "ok");
  };
  burst();
  const auto opened = open_.counters().connections_opened;
  EXPECT_GE(opened, kBurst);
  burst();
  EXPECT_EQ(open_.counters().connections_opened, opened);
}

TEST_F(Postgres, AStoreThatIsClosedEndsItsCalls) {
  auto store = must(open());
  must(claim(*store));
  StoppedSession session(database_.settings(), "BEGIN; LOCK TABLE leader_election");
  const auto claimed = begin(store->leadership());
  loop_.poll();
  store.reset();
  ASSERT_TRUE(turn_until([&] { return claimed->has_value(); }));
  EXPECT_EQ(outcome(**claimed), "unavailable");
}

TEST_F(Postgres, OtherInstancesHearOfWhatWasCommitted) {
  const auto here = must(open());
  const auto there = must(open());
  std::vector<std::string> heard;
  const auto subscription =
      there->subscribe([&](const Change& change) { heard.push_back(change.key); });
  const auto heard_of = [&](const std::string& key) {
    return turn_until([&] { return std::ranges::find(heard, key) != heard.end(); });
  };
  // Once it listens; before, nothing is promised.
  ASSERT_TRUE(turn_until([&] {
    must(claim(*here, "first"));
    return !heard.empty();
  }));
  given_workspace(*here);
  EXPECT_TRUE(heard_of("shop"));

  // Nobody calls NOTIFY: what changed is found in the tables.
  database_.execute("UPDATE leader_election SET leader_id = 'silent'");
  EXPECT_TRUE(heard_of("silent"));
  must(await(here->put_bundle(BundleHash("content-of-web"), "content")));
  must(await(
      here->put_template({.name = TemplateName("web"), .bundle = BundleHash("content-of-web")})));
  EXPECT_TRUE(heard_of("web"));
  database_.execute("UPDATE templates SET name = 'silent-web'");
  EXPECT_TRUE(heard_of("silent-web"));

  database_.execute(
      "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = "
      "current_database() AND pid <> pg_backend_pid()");
  database_.execute("UPDATE leader_election SET leader_id = 'while deaf'");
  EXPECT_TRUE(heard_of("while deaf"));
}

TEST_F(Postgres, TextsThatPostgresCannotHoldBecomePresentable) {
  const auto store = must(open());
  must(await(store->audit({.actor = std::string("a\0b\xff", 4), .action = "\xc3\xa4"})));
  EXPECT_EQ(database_.execute("SELECT actor || action FROM audit_events"),
            std::vector<std::string>{"a\xEF\xBF\xBD"
                                     "b\xEF\xBF\xBD\xc3\xa4"});
}

}  // namespace
}  // namespace provisioner
