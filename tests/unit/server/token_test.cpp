// Promise: a token is 256 random bits that can be told from other secrets, and from half a token.
#include "server/token.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace provisioner::server {
namespace {

TEST(Token, LooksLikeOne) {
  SystemRandom random;
  const std::string token = make_token(random);
  EXPECT_EQ(token.size(), 53u);
  EXPECT_TRUE(token.starts_with("pvr_"));
  EXPECT_TRUE(std::ranges::all_of(token.substr(4), [](char c) { return std::isalnum(c) != 0; }));
  EXPECT_TRUE(is_token(token));
}

TEST(Token, IsAnotherEachTimeAndInEveryPlace) {
  SystemRandom random;
  std::vector<std::set<char>> seen(47);
  std::set<std::string> all;
  for (int i = 0; i < 300; ++i) {
    const std::string token = make_token(random);
    all.insert(token);
    for (std::size_t at = 4; at < seen.size(); ++at) seen[at].insert(token[at]);
  }
  EXPECT_EQ(all.size(), 300u);
  for (std::size_t at = 5; at < seen.size(); ++at) EXPECT_GT(seen[at].size(), 30u) << at;
}

TEST(Token, TheSameBitsMakeTheSameToken) {
  SeededRandom one(7);
  SeededRandom same(7);
  EXPECT_EQ(make_token(one), make_token(same));
}

TEST(Token, AMistypedOrCutOneIsNone) {
  SystemRandom random;
  const std::string token = make_token(random);
  for (std::size_t at = 0; at < token.size(); ++at) {
    std::string wrong = token;
    wrong[at] = wrong[at] == 'a' ? 'b' : 'a';
    EXPECT_FALSE(is_token(wrong)) << at;
  }
  EXPECT_FALSE(is_token(token.substr(0, 52)));
  EXPECT_FALSE(is_token(token + "a"));
  for (const char* other : {"", "pvr_", "x", "ghp_0123456789"}) EXPECT_FALSE(is_token(other));
}

TEST(Token, IsKeptAsItsSha256) {
  EXPECT_EQ(hash_token("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Token, SecretsAreComparedWhole) {
  EXPECT_TRUE(is_same_secret("abc", "abc"));
  for (const char* other : {"abd", "ab", "abcd", ""}) EXPECT_FALSE(is_same_secret("abc", other));
}

TEST(Scope, IsAListOfPatterns) {
  struct Case {
    const char* scope;
    const char* name;
    bool contained;
  };
  for (const Case& c : {Case{"", "shop", true},
                        {"shop", "shop", true},
                        {"shop", "shop2", false},
                        {"team-a-*", "team-a-web", true},
                        {"team-a-*", "team-b-web", false},
                        {"a,b", "b", true},
                        {" a , b ", "b", true},
                        {"web-?", "web-1", true},
                        {"web-?", "web-12", false},
                        {"*", ".hidden", true}}) {
    const auto scope = parse_workspace_scope(c.scope);
    ASSERT_TRUE(scope) << c.scope;
    EXPECT_EQ(scope->contains(WorkspaceName(c.name)), c.contained) << c.scope << " " << c.name;
    EXPECT_EQ(parse_workspace_scope(scope->to_string()), *scope) << "as it is stored";
  }
}

TEST(Scope, WhatMatchesNothingIsRefusedAndNeverEverything) {
  for (const char* wrong : {",", " , ", "a/b", "[ab]", "a b", "-a", "\\*"}) {
    EXPECT_FALSE(parse_workspace_scope(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace provisioner::server
