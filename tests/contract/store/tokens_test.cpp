#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

using std::chrono::hours;

ApiToken token(const std::string& name, Instant at) {
  return {.id = TokenId("id-" + name),
          .name = name,
          .hash = "hash-" + name,
          .role = Role::kOperator,
          .scope = {.patterns = {"shop", "team-a-*"}},
          .created_by = "uid:0",
          .created_at = at,
          .expires_at = at + hours(24)};
}

TEST_P(StoreContract, ATokenIsFoundByItsHashAsItWasMade) {
  must(await(store().insert_token(token("ci", now_))));
  reopen();
  EXPECT_EQ(must(await(store().token_by_hash("hash-ci"))), token("ci", now_));
  EXPECT_EQ(outcome(await(store().token_by_hash("hash-other"))), "not_found");
  EXPECT_EQ(outcome(await(store().token_by_hash(""))), "not_found");
}

TEST_P(StoreContract, ATokenMayHaveNoEndAndNoScope) {
  ApiToken plain = token("plain", now_);
  plain.expires_at.reset();
  plain.scope = {};
  plain.role = Role::kAdmin;
  must(await(store().insert_token(plain)));
  EXPECT_EQ(must(await(store().token_by_hash(plain.hash))), plain);
}

TEST_P(StoreContract, TokensAreListedNewestFirstRevokedOnesIncluded) {
  for (int i = 0; i < 3; ++i) {
    must(await(store().insert_token(token("t" + std::to_string(i), now_ + hours(i)))));
  }
  must(await(store().revoke_token(TokenId("id-t1"), "uid:0", now_ + hours(3))));
  std::vector<std::string> names;
  for (const auto& each : must(await(store().tokens()))) names.push_back(each.name);
  EXPECT_EQ(names, (std::vector<std::string>{"t2", "t1", "t0"}));
}

TEST_P(StoreContract, ANameBelongsToOneTokenUntilThatIsRevoked) {
  must(await(store().insert_token(token("ci", now_))));
  ApiToken second = token("ci", now_ + hours(48));
  second.id = TokenId("id-2");
  second.hash = "hash-2";
  const auto refused = await(store().insert_token(second));
  ASSERT_EQ(outcome(refused), "conflict");
  EXPECT_NE(refused.error().message.find("named ci"), std::string::npos) << "even if it is expired";
  must(await(store().revoke_token(TokenId("id-ci"), "uid:0", now_)));
  must(await(store().insert_token(second)));
  EXPECT_EQ(must(await(store().token_by_hash("hash-2"))).name, "ci");
}

TEST_P(StoreContract, NoTwoTokensShareAnIdOrAHash) {
  must(await(store().insert_token(token("ci", now_))));
  ApiToken same_hash = token("other", now_);
  same_hash.hash = "hash-ci";
  EXPECT_EQ(outcome(await(store().insert_token(same_hash))), "conflict");
  ApiToken same_id = token("other", now_);
  same_id.id = TokenId("id-ci");
  EXPECT_EQ(outcome(await(store().insert_token(same_id))), "conflict");
}

TEST_P(StoreContract, ARevokedTokenStaysToBeTold) {
  must(await(store().insert_token(token("ci", now_))));
  const ApiToken revoked =
      must(await(store().revoke_token(TokenId("id-ci"), "uid:7", now_ + hours(1))));
  EXPECT_EQ(revoked.revoked_at, now_ + hours(1));
  EXPECT_EQ(revoked.revoked_by, "uid:7");
  EXPECT_EQ(must(await(store().token_by_hash("hash-ci"))), revoked);
  EXPECT_EQ(must(await(store().revoke_token(TokenId("id-ci"), "uid:8", now_ + hours(2)))), revoked)
      << "the first revocation counts";
  EXPECT_EQ(outcome(await(store().revoke_token(TokenId("id-x"), "uid:8", now_))), "not_found");
}

TEST_P(StoreContract, TheLastUseOfATokenOnlyMovesForward) {
  must(await(store().insert_token(token("ci", now_))));
  must(await(store().touch_token(TokenId("id-ci"), now_ + hours(2))));
  must(await(store().touch_token(TokenId("id-ci"), now_ + hours(1))));
  EXPECT_EQ(must(await(store().token_by_hash("hash-ci"))).last_used_at, now_ + hours(2));
  EXPECT_EQ(outcome(await(store().touch_token(TokenId("id-x"), now_))), "ok");
}

TEST_P(StoreContract, TokensGoLongAfterTheirEnd) {
  ApiToken revoked = token("revoked", now_);
  revoked.expires_at.reset();
  ApiToken eternal = token("eternal", now_);
  eternal.expires_at.reset();
  for (const ApiToken& each : {token("expired", now_), revoked, eternal}) {
    must(await(store().insert_token(each)));
  }
  must(await(store().revoke_token(revoked.id, "uid:0", now_)));
  const auto left = [&] { return must(await(store().tokens())).size(); };
  must(await(store().prune({.runs = hours(48)}, now_ + hours(47))));
  EXPECT_EQ(left(), 3u);
  must(await(store().prune({.runs = hours(48)}, now_ + hours(1000))));
  EXPECT_EQ(left(), 1u);
  EXPECT_EQ(outcome(await(store().token_by_hash(eternal.hash))), "ok");
}

}  // namespace
}  // namespace provisioner
