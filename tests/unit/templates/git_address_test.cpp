// Promise: only https, ssh and file, nothing that git would read as an option, and no credentials.
#include "templates/git_address.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace provisioner {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(GitAddress, TakesWhatPeopleWrite) {
  const std::pair<const char*, const char*> kGood[] = {
      {"https://github.com/acme/infra.git", "github.com"},
      {"https://git.example.org:8443/infra", "git.example.org:8443"},
      {"https://[::1]:8443/infra", "[::1]:8443"},
      {"ssh://git@example.org:2222/acme/infra.git", "example.org:2222"},
      {"ssh://example.org/~me/infra", "example.org"},
      {"git@example.org:acme/infra.git", "example.org"},
      {"example.org:infra", "example.org"},
      {"file:///srv/git/infra.git", ""},
  };
  for (const auto& [url, host] : kGood) {
    const auto address = parse_git_url(url);
    ASSERT_TRUE(address) << url << ": " << address.error().message;
    EXPECT_EQ(address->url, url);
    EXPECT_EQ(address->host, host) << url;
  }
}

TEST(GitAddress, RefusesEverythingElseWithAReason) {
  const std::pair<const char*, const char*> kBad[] = {
      {"", "missing"},
      {"http://example.org/infra", "https, ssh and file are possible"},
      {"git://example.org/infra", "https, ssh and file are possible"},
      {"ftp://example.org/infra", "ftp is no transport"},
      {"ext::sh -c id", "spaces or control"},
      {"ext::sh", "ext is no transport"},
      {"fd::17/x", "fd is no transport"},
      {"--upload-pack=touch", "begins with '-'"},
      {"ssh://-oProxyCommand=id/x", "is no host"},
      {"-oProxyCommand=id:x", "begins with '-'"},
      {"ssh://-l@example.org/x", "is no user name"},
      {"git@-host:x", "is no host"},
      {"git@host:", "no repository"},
      {"git@host:--x", "no repository"},
      {"https://example.org", "no repository"},
      {"https://example.org/", "no repository"},
      {"https:///x", "is no host"},
      {"https://example.org/a?token=x", "after '?' or '#'"},
      {"https://exa mple.org/x", "spaces"},
      {"file://host/x", "not an absolute path"},
      {"file:///", "names no repository"},
      {"/srv/git/infra", "write file:///srv/git/infra"},
      {"./infra", "write file:///"},
      {"infra", "write file:///"},
  };
  for (const auto& [url, reason] : kBad) {
    const auto address = parse_git_url(url);
    ASSERT_FALSE(address) << url;
    EXPECT_EQ(address.error().kind, ErrorKind::kInvalid) << url;
    EXPECT_THAT(address.error().message, HasSubstr(reason)) << url;
  }
}

TEST(GitAddress, CredentialsAreRefusedAndNotRepeated) {
  for (const char* url : {"https://hunter2@example.org/infra", "https://me:hunter2@example.org/x",
                          "ssh://me:hunter2@example.org/x"}) {
    const auto address = parse_git_url(url);
    ASSERT_FALSE(address) << url;
    EXPECT_THAT(address.error().message, HasSubstr("holds credentials"));
    EXPECT_THAT(address.error().message, HasSubstr("***@example.org"));
    EXPECT_THAT(address.error().message, Not(HasSubstr("hunter2")));
  }
}

TEST(GitAddress, ASourceHasOneSpelling) {
  const auto path = [](const char* text) {
    return checked_source({.url = "https://example.org/x", .path = text, .ref = "main"});
  };
  for (const char* top : {"", ".", "./", "/"}) EXPECT_EQ(path(top)->path, "") << top;
  for (const char* web : {"web/app", "./web/app/", "web//app"}) {
    EXPECT_EQ(path(web)->path, "web/app") << web;
  }
  EXPECT_THAT(path("../x").error().message, HasSubstr("path ../x leaves the repository"));
  EXPECT_THAT(path("web/../../x").error().message, HasSubstr("leaves the repository"));
  EXPECT_THAT(path("/srv/web").error().message, HasSubstr("such as srv/web"));
  EXPECT_THAT(path(".git/hooks").error().message, HasSubstr("Git's own"));
}

TEST(GitAddress, ARefCannotBecomeAnOptionOrARange) {
  const auto source = [](const char* ref) {
    return checked_source({.url = "https://example.org/x", .ref = ref});
  };
  for (const char* ref : {"main", "v1.0", "feature/x", "refs/heads/main", "deadbeef"}) {
    EXPECT_TRUE(source(ref)) << ref;
  }
  for (const char* ref : {"--upload-pack=x", "a..b", "a b", "HEAD~1", "v1^{}", "a:b", "x.lock", "*",
                          "@{1}", "a//b", "a/"}) {
    EXPECT_FALSE(source(ref)) << ref;
  }
}

}  // namespace
}  // namespace provisioner
