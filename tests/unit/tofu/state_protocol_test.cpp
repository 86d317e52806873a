#include "tofu/state_protocol.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/tofu_state.hpp"
#include "tests/support/run_task.hpp"
#include "tofu/digest.hpp"
#include "tofu/state_body.hpp"

namespace provisioner::tofu {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A state in memory, kept by the rules of model/tofu_state.hpp. `trouble` stands for a store that
// is away or refuses.
class KeptState final : public StateBackend {
 public:
  Task<Result<std::optional<std::string>>> read() override {
    if (trouble) co_return std::unexpected(*trouble);
    if (!version) co_return std::nullopt;
    co_return body;
  }
  Task<Result<std::optional<std::string>>> lock(std::string id, std::string info) override {
    if (trouble) co_return std::unexpected(*trouble);
    if (held && held->id != id) co_return held->info_json;
    held = StateLock{.id = std::move(id), .info_json = std::move(info)};
    co_return std::nullopt;
  }
  Task<Status> unlock(std::string id) override {
    if (trouble) co_return std::unexpected(*trouble);
    if (held && !id.empty() && held->id != id) co_return fail(ErrorKind::kConflict, "not yours");
    held.reset();
    co_return Status();
  }
  Task<Status> write(std::string lock_id, std::string written) override {
    if (trouble) co_return std::unexpected(*trouble);
    const auto meta = parse_state(written);
    if (!meta) co_return std::unexpected(meta.error());
    const auto decision = check_state_write(version, held, lock_id, *meta);
    if (decision.verdict == StateWriteVerdict::kRefuse) {
      co_return fail(ErrorKind::kConflict, decision.reason);
    }
    version = StateVersion{.number = 1, .meta = *meta};
    body = std::move(written);
    co_return Status();
  }

  std::optional<Error> trouble;
  std::optional<StateVersion> version;
  std::optional<StateLock> held;
  std::string body;
};

std::string state(int serial, std::string_view lineage = "one", std::string_view extra = "") {
  return fmt::format(R"({{"version":4,"lineage":"{}","serial":{},"resources":[]{}}})", lineage,
                     serial, extra);
}

class StateProtocol : public ::testing::Test {
 protected:
  StateReply ask(StateRequest request) {
    return provisioner::testing::run_task(loop_,
                                          answer_state_request(kept, std::move(request), patience));
  }
  StateReply get() { return ask({.method = "GET"}); }
  StateReply lock(std::string_view id) {
    return ask({.method = "LOCK", .body = fmt::format(R"({{"ID":"{}","Who":"w"}})", id)});
  }
  StateReply unlock(std::string_view id) {
    return ask({.method = "UNLOCK", .body = fmt::format(R"({{"ID":"{}"}})", id)});
  }
  StateReply post(std::string body, std::string lock_id = "L") {
    std::string md5 = md5_base64(body);
    return ask({"POST", std::move(lock_id), std::move(md5), std::move(body)});
  }

  KeptState kept;
  Patience patience = Patience::kAskAgain;

 private:
  boost::asio::io_context loop_;
};

TEST_F(StateProtocol, AStateIsNoneThenWhatWasWritten) {
  EXPECT_EQ(get().status, 204);
  EXPECT_THAT(get().body, IsEmpty());
  ASSERT_EQ(lock("L").status, 200);
  EXPECT_EQ(post(state(1)).status, 200);
  EXPECT_EQ(unlock("L").status, 200);
  const StateReply reply = get();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "application/json");
  EXPECT_EQ(reply.body, state(1));
}

TEST_F(StateProtocol, EveryStepMayBeRepeatedAfterALostAnswer) {
  for (int i = 0; i < 2; ++i) EXPECT_EQ(lock("L").status, 200);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(post(state(1)).status, 200);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(unlock("L").status, 200);
}

TEST_F(StateProtocol, AHeldLockAnswersWithTheStoredOne) {
  ASSERT_EQ(lock("L").status, 200);
  const StateReply reply = lock("M");
  EXPECT_EQ(reply.status, 423);
  EXPECT_EQ(reply.body, R"({"ID":"L","Who":"w"})");
  EXPECT_EQ(unlock("M").status, 409);
  EXPECT_EQ(get().status, 204) << "reading needs no lock";
}

TEST_F(StateProtocol, ForceUnlockIsUnderstoodFromBothProducts) {
  ASSERT_EQ(lock("L").status, 200);
  EXPECT_EQ(ask({.method = "UNLOCK"}).status, 200) << "Terraform sends no body";
  EXPECT_FALSE(kept.held);
  ASSERT_EQ(lock("L").status, 200);
  EXPECT_EQ(unlock("L").status, 200) << "OpenTofu sends the ID alone";
  EXPECT_FALSE(kept.held);
}

struct Refused {
  const char* what;
  std::string body;
  std::string lock_id;
  int status;
  const char* reason;
};

TEST_F(StateProtocol, WritesThatWouldLoseSomethingAreRefusedWithTheReason) {
  ASSERT_EQ(lock("L").status, 200);
  ASSERT_EQ(post(state(5)).status, 200);
  const Refused cases[] = {
      {"an older serial", state(4), "L", 409, "serial 4 is older"},
      {"the same serial with other content", state(5, "one", ",\"x\":1"), "L", 409,
       "other content"},
      {"another lineage", state(6, "two"), "L", 409, "lineage two"},
      {"another lock", state(6), "M", 409, "locked by L"},
      {"no lock", state(6), "", 409, "names no lock"},
      {"identical content under a wrong lock", state(5), "M", 409, "locked by L"},
      {"no state", "{}", "L", 400, "no \"version\""},
      {"nothing", "", "L", 400, "empty"},
  };
  for (const Refused& refused : cases) {
    const StateReply reply = post(refused.body, refused.lock_id);
    EXPECT_EQ(reply.status, refused.status) << refused.what;
    EXPECT_THAT(reply.body, HasSubstr(refused.reason)) << refused.what;
    EXPECT_EQ(kept.body, state(5)) << refused.what;
  }
  EXPECT_EQ(unlock("L").status, 200);
  EXPECT_EQ(post(state(6)).status, 409) << "an unlocked state is written by nobody";
}

TEST_F(StateProtocol, ADamagedBodyReachesNobody) {
  ASSERT_EQ(lock("L").status, 200);
  const StateReply reply = ask({"POST", "L", md5_base64(state(1)), state(2)});
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("Content-MD5"));
  EXPECT_FALSE(kept.version);
  EXPECT_EQ(ask({"POST", "L", "", state(1)}).status, 200) << "the header may be absent";
}

TEST_F(StateProtocol, WhatIsNoLockIsRefused) {
  for (const char* body : {"", "x", "{}", R"({"ID":""})", R"({"ID":1})", "[]"}) {
    EXPECT_EQ(ask({.method = "LOCK", .body = body}).status, 400) << body;
  }
  EXPECT_EQ(ask({.method = "LOCK", .body = std::string(100'000, '[')}).status, 400);
  EXPECT_EQ(ask({.method = "UNLOCK", .body = "x"}).status, 400);
}

TEST_F(StateProtocol, NothingIsEverDeleted) {
  ASSERT_EQ(lock("L").status, 200);
  ASSERT_EQ(post(state(1)).status, 200);
  EXPECT_EQ(ask({.method = "DELETE"}).status, 409);
  EXPECT_EQ(get().body, state(1));
  EXPECT_EQ(ask({.method = "PUT"}).status, 405);
}

struct Trouble {
  ErrorKind kind;
  int status;
  int while_stopping;
};

TEST_F(StateProtocol, TheClientRepeatsOnlyWhatHelpsAndNothingWhileWeStop) {
  const Trouble cases[] = {
      {ErrorKind::kUnavailable, 503, 409}, {ErrorKind::kAmbiguous, 503, 409},
      {ErrorKind::kTimeout, 503, 409},     {ErrorKind::kFenced, 409, 409},
      {ErrorKind::kConflict, 409, 409},    {ErrorKind::kDenied, 409, 409},
      {ErrorKind::kIo, 501, 501},          {ErrorKind::kCorrupt, 501, 501},
  };
  for (const Trouble& trouble : cases) {
    kept.trouble = Error{trouble.kind, "the store says no"};
    patience = Patience::kAskAgain;
    for (const StateReply& reply : {get(), lock("L"), post(state(1)), unlock("L")}) {
      EXPECT_EQ(reply.status, trouble.status) << to_string(trouble.kind);
      EXPECT_EQ(reply.retry_after.has_value(), reply.status == 503);
      EXPECT_THAT(reply.body, HasSubstr("the store says no"));
    }
    patience = Patience::kStopping;
    EXPECT_EQ(post(state(1)).status, trouble.while_stopping) << to_string(trouble.kind);
  }
}

TEST(StateCredentials, AreReadFromBasicAuthorization) {
  const auto credentials = parse_authorization("Basic cnVuLTE6czNjOnJldA==");
  ASSERT_TRUE(credentials) << credentials.error().message;
  EXPECT_EQ(credentials->user, "run-1");
  EXPECT_EQ(credentials->password, "s3c:ret");
  for (const char* wrong : {"", "Bearer x", "Basic ", "Basic !!!!", "Basic YWJj", "Basic YWJjZ"}) {
    EXPECT_EQ(parse_authorization(wrong).error().kind, ErrorKind::kDenied) << wrong;
  }
  EXPECT_TRUE(same_secret("abc", "abc"));
  EXPECT_FALSE(same_secret("abc", "abd"));
  EXPECT_FALSE(same_secret("abc", "ab"));
}

TEST(Digests, AreTheKnownOnes) {
  EXPECT_EQ(md5_base64(""), "1B2M2Y8AsgTpgAmY7PhCfg==");  // RFC 1321's first vector
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace provisioner::tofu
