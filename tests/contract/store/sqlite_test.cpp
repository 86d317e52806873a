// The embedded store against the contract, and what only a file can do to us.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <vector>

#include "store/sqlite/sqlite_store.hpp"
#include "tests/contract/store/jobs_contract.hpp"
#include "tests/contract/store/store_contract.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner {
namespace {

using ::testing::HasSubstr;
using testing::TempDirectory;

const auto kSqlite = ::testing::Values(
    StoreMaker{.name = "sqlite", .fresh = [] {
                 auto directory = std::make_shared<TempDirectory>();
                 return [directory](boost::asio::io_context& loop) {
                   return open_sqlite_store(loop.get_executor(), *directory / "provisioner.db");
                 };
               }});

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract, kSqlite,
                         [](const auto& i) { return i.param.name; });
INSTANTIATE_TEST_SUITE_P(Sqlite, JobsContract, kSqlite, [](const auto& i) { return i.param.name; });

class SqliteFile : public ::testing::Test {
 protected:
  std::filesystem::path file() const { return directory_ / "provisioner.db"; }

  Result<std::unique_ptr<Store>> open() { return open_sqlite_store(loop_.get_executor(), file()); }

  // As an administrator would, beside us.
  void execute(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &db), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK)
        << (message == nullptr ? "" : message);
    sqlite3_free(message);
    sqlite3_close(db);
  }

  TempDirectory directory_;
  boost::asio::io_context loop_;
};

TEST_F(SqliteFile, SaysWhatItIs) {
  EXPECT_THAT(must(open())->describe(), HasSubstr("schema 7"));
  EXPECT_THAT(must(open())->describe(), HasSubstr("sqlite 3."));
}

TEST_F(SqliteFile, IsReadableByItsOwnerOnly) {
  const auto store = must(open());
  testing::run_task(loop_, store->put_bundle(BundleHash("h"), "x"));
  for (const char* name : {"provisioner.db", "provisioner.db-wal", "provisioner.lock"}) {
    struct stat status{};
    ASSERT_EQ(stat((directory_ / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777u, 0600u) << name;
  }
}

TEST_F(SqliteFile, ASecondDaemonIsRefusedAndToldThePid) {
  const auto first = must(open());
  const auto second = open();
  ASSERT_EQ(outcome(second), "conflict");
  EXPECT_THAT(second.error().message, HasSubstr(fmt::format("pid {}", getpid())));
  EXPECT_THAT(second.error().message, HasSubstr(directory_.path().native()));
}

TEST_F(SqliteFile, TheLockEndsWithTheStore) {
  must(open());
  EXPECT_EQ(outcome(open()), "ok");
}

TEST_F(SqliteFile, AFileOfGarbageIsCorruptAndSaysWhatToDo) {
  testing::write_file(file(), std::string(10'000, 'x'));
  const auto refused = open();
  ASSERT_EQ(outcome(refused), "corrupt");
  EXPECT_THAT(refused.error().message, HasSubstr(file().native()));
  EXPECT_THAT(refused.error().message, HasSubstr("backup"));
  EXPECT_THAT(refused.error().message, HasSubstr(".recover"));
  EXPECT_EQ(testing::read_file(file()), std::string(10'000, 'x')) << "the evidence was touched";
}

TEST_F(SqliteFile, DamageInTheMiddleIsFoundWhenItIsOpened) {
  {
    const auto store = must(open());
    for (int i = 0; i < 50; ++i) {
      testing::run_task(loop_, store->audit({.actor = "uid:0", .target = std::string(500, 'a')}));
    }
  }
  {
    std::fstream damage(file(), std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<std::streamoff>(std::filesystem::file_size(file()));
    for (std::streamoff at = 4096; at + 200 < size; at += 4096) {
      damage.seekp(at);
      damage << std::string(200, '\xee');
    }
  }
  const auto refused = open();
  ASSERT_EQ(outcome(refused), "corrupt");
  EXPECT_THAT(refused.error().message, HasSubstr(".recover"));
}

TEST_F(SqliteFile, ANewerSchemaIsRefusedAndUntouched) {
  must(open());
  execute("INSERT INTO schema_migrations (version, name) VALUES (99, 'from the future')");
  const auto refused = open();
  ASSERT_EQ(outcome(refused), "invalid");
  EXPECT_THAT(refused.error().message, HasSubstr("schema 99"));
  EXPECT_THAT(refused.error().message, HasSubstr("newer"));
}

TEST_F(SqliteFile, ADatabaseOfAnotherProgramIsRefused) {
  execute("CREATE TABLE recipes (name TEXT)");
  const auto refused = open();
  ASSERT_EQ(outcome(refused), "invalid");
  EXPECT_THAT(refused.error().message, HasSubstr("another program"));
}

TEST_F(SqliteFile, AnImpossibleDirectoryIsAnIoErrorThatNamesIt) {
  // A path below a file fails for root, too, unlike a directory without the write permission.
  testing::write_file(directory_ / "file", "");
  const auto refused = open_sqlite_store(loop_.get_executor(), directory_ / "file/provisioner.db");
  ASSERT_EQ(outcome(refused), "io");
  EXPECT_THAT(refused.error().message, HasSubstr((directory_ / "file").native()));
}

// /dev/full has no room for a database; a limit on the size of files has the same effect.
class LimitedFileSize {
 public:
  LimitedFileSize() {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit small = before_;
    small.rlim_cur = 1 << 20;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~LimitedFileSize() { setrlimit(RLIMIT_FSIZE, &before_); }
  LimitedFileSize(const LimitedFileSize&) = delete;
  LimitedFileSize& operator=(const LimitedFileSize&) = delete;

 private:
  rlimit before_{};
};

TEST_F(SqliteFile, AFullDiskFailsTheCallAndKeepsTheRest) {
  const auto store = must(open());
  ASSERT_EQ(outcome(testing::run_task(loop_, store->put_bundle(BundleHash("a"), "before"))), "ok");
  {
    const LimitedFileSize limited;
    EXPECT_EQ(outcome(testing::run_task(
                  loop_, store->put_bundle(BundleHash("big"), std::string(8 << 20, 'b')))),
              "io");
  }
  EXPECT_EQ(must(testing::run_task(loop_, store->bundle(BundleHash("a")))), "before");
  EXPECT_EQ(outcome(testing::run_task(loop_, store->bundle(BundleHash("big")))), "not_found");
  EXPECT_EQ(outcome(testing::run_task(loop_, store->put_bundle(BundleHash("b"), "after"))), "ok");
}

TEST_F(SqliteFile, I9_OfCallsThatMeetAFullDiskTogetherExactlyTheAcknowledgedOnesAreThere) {
  constexpr int kCalls = 40;
  std::map<int, std::string> answers;
  {
    const auto store = must(open());
    const LimitedFileSize limited;
    for (int i = 0; i < kCalls; ++i) {
      std::string content(i % 10 == 5 ? 8 << 20 : 10, 'c');
      boost::asio::co_spawn(
          loop_, store->put_bundle(BundleHash(std::to_string(i)), std::move(content)),
          [&answers, i](std::exception_ptr, Status done) { answers[i] = outcome(done); });
    }
    loop_.restart();
    loop_.run();
  }
  ASSERT_EQ(answers.size(), 1u * kCalls);
  EXPECT_EQ(answers[5], "io");
  const auto store = must(open());
  for (const auto& [i, answer] : answers) {
    const auto found = testing::run_task(loop_, store->bundle(BundleHash(std::to_string(i))));
    EXPECT_EQ(outcome(found), answer == "ok" ? "ok" : "not_found") << i << " was told " << answer;
  }
}

TEST_F(SqliteFile, AnotherWriterMakesTheStoreUnavailableNotBroken) {
  const auto store = must(open());
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(outcome(testing::run_task(loop_, store->put_bundle(BundleHash("a"), "x"))),
            "unavailable");
  sqlite3_close(other);
  EXPECT_EQ(outcome(testing::run_task(loop_, store->put_bundle(BundleHash("a"), "x"))), "ok");
}

TEST_F(SqliteFile, AttemptsClaimsAreNotInTheFile) {
  const std::string secret = "0123456789abcdef-the-secret-of-an-attempt";
  {
    const auto store = must(open());
    testing::run_task(loop_, store->put_bundle(BundleHash("h"), "x"));
    const Definition definition{.config = "{}", .bundle = BundleHash("h"), .inputs_hash = "i"};
    must(testing::run_task(
        loop_, store->publish({.workspace = WorkspaceName("shop"), .definition = definition}, {})));
    must(testing::run_task(
        loop_, store->enqueue(
                   {.id = RunId("r"), .workspace = WorkspaceName("shop"), .definition = definition},
                   WhenBusy::kRefuse)));
    ASSERT_TRUE(must(
        testing::run_task(loop_, store->claim_next({.claim = ClaimId(secret), .now = Instant()}))));
  }
  EXPECT_THAT(testing::read_file(file()), HasSubstr("shop"));
  EXPECT_THAT(testing::read_file(file()), ::testing::Not(HasSubstr(secret)));
}

}  // namespace
}  // namespace provisioner
