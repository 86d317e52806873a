// From real repositories, by the real git.
#include "templates/fetch.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "tests/support/git_repository.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using provisioner::testing::GitRepository;
using provisioner::testing::TempDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FetchTest : public ::testing::Test {
 protected:
  FetchTest() {
    repository_.write("web/main.tf", "resource \"terraform_data\" \"web\" {}\n");
    repository_.write("README.md", "no content\n");
    first_ = repository_.commit("first");
  }

  Result<Fetched> fetch_from(TemplateSource source, std::string unless = "") {
    return fetch({.source = std::move(source), .unless_commit = std::move(unless)},
                 {.scratch = scratch_.path(),
                  .environment = process_environment(),
                  .patience = patience_,
                  .stop = stop_});
  }
  Result<Fetched> fetch_web(const std::string& ref = "", const std::string& unless = "") {
    return fetch_from({.url = repository_.url(), .path = "web", .ref = ref}, unless);
  }
  std::string refusal(TemplateSource source) {
    const auto fetched = fetch_from(std::move(source));
    return fetched ? "fetched" : fetched.error().message;
  }
  static std::vector<std::string> files(const Fetched& fetched) {
    std::vector<std::string> paths;
    for (const auto& entry : fetched.bundle.value().entries) paths.push_back(entry.path);
    return paths;
  }

  GitRepository repository_;
  TempDirectory scratch_;
  std::string first_;
  Duration patience_ = 60s;
  std::shared_ptr<StopFlag> stop_ = std::make_shared<StopFlag>();
};

TEST_F(FetchTest, ABranchATagACommitAndHeadAreFetched) {
  repository_.git({"tag", "v1.0"});
  repository_.git({"tag", "-a", "v1.1", "-m", "annotated"});
  repository_.write("web/more.tf", "");
  const std::string second = repository_.commit("second");
  for (const std::string& ref : {std::string("v1.0"), std::string("v1.1"), first_,
                                 first_.substr(0, 10), std::string("refs/tags/v1.0")}) {
    const auto fetched = fetch_web(ref);
    ASSERT_TRUE(fetched) << ref << ": " << fetched.error().message;
    EXPECT_EQ(fetched->commit, first_) << ref;
    EXPECT_THAT(files(*fetched), ElementsAre("main.tf"));
  }
  for (const char* ref : {"", "main"}) {
    const auto fetched = fetch_web(ref);
    ASSERT_TRUE(fetched) << fetched.error().message;
    EXPECT_EQ(fetched->commit, second);
    EXPECT_THAT(files(*fetched), ElementsAre("main.tf", "more.tf"));
  }
  EXPECT_TRUE(fs::is_empty(scratch_.path())) << "nothing is left behind";
}

TEST_F(FetchTest, TheSameFilesHaveTheSameHashWhateverTheCommit) {
  const auto before = fetch_web();
  repository_.write("README.md", "changed\n");
  const auto after = fetch_web(repository_.commit());
  ASSERT_TRUE(before && after);
  EXPECT_NE(before->commit, after->commit);
  EXPECT_EQ(before->bundle->hash, after->bundle->hash);
}

TEST_F(FetchTest, AKnownCommitIsNotFetchedAgain) {
  const auto known = fetch_web("", first_);
  ASSERT_TRUE(known);
  EXPECT_EQ(known->commit, first_);
  EXPECT_FALSE(known->bundle);
}

TEST_F(FetchTest, WhatIsNotThereIsNamedWithWhatIs) {
  EXPECT_THAT(
      refusal({.url = repository_.url(), .path = "web", .ref = "maim"}),
      HasSubstr("\"maim\" is neither a branch, a tag nor a commit there; did you mean main?"));
  EXPECT_THAT(refusal({.url = repository_.url(), .path = "wob"}),
              HasSubstr("no folder wob; they are in web"));
  EXPECT_THAT(refusal({.url = repository_.url(), .ref = std::string(40, 'e')}), HasSubstr("eee"));
  EXPECT_THAT(refusal({.url = repository_.url(), .ref = "eeeeeee"}), HasSubstr("\"eeeeeee\""));
  EXPECT_THAT(refusal({.url = "file:///nowhere/at/all"}), HasSubstr("nowhere/at/all"));
  EXPECT_THAT(refusal({.url = repository_.url()}), HasSubstr("the repository has no tofu files"));
}

TEST_F(FetchTest, AnEmptyRepositoryIsRefused) {
  const GitRepository empty;
  EXPECT_THAT(refusal({.url = empty.url()}), HasSubstr("the repository is empty"));
}

TEST_F(FetchTest, SubmodulesAreRefused) {
  const GitRepository other;
  other.git({"commit", "--quiet", "--allow-empty", "-m", "x"});
  repository_.git({"submodule", "--quiet", "add", other.url(), "web/vendor"});
  repository_.commit();
  EXPECT_THAT(refusal({.url = repository_.url(), .path = "web"}),
              HasSubstr("web/vendor is a submodule"));
}

TEST_F(FetchTest, ALinkThatLeavesTheFolderIsRefused) {
  fs::create_symlink("../README.md", repository_.path() / "web" / "out.md");
  repository_.commit();
  EXPECT_THAT(refusal({.url = repository_.url(), .path = "web"}),
              HasSubstr("out.md is a link to ../README.md, outside of the content"));
  fs::remove(repository_.path() / "web" / "out.md");
  fs::create_symlink("main.tf", repository_.path() / "web" / "in.tf");
  repository_.commit();
  EXPECT_TRUE(fetch_web());
}

TEST_F(FetchTest, ContentThatCannotBeReadIsRefused) {
  repository_.write("web/broken.tf", "resource \"x\" {\n");
  repository_.commit();
  EXPECT_THAT(refusal({.url = repository_.url(), .path = "web"}), HasSubstr("broken.tf"));
  repository_.write("web/broken.tf", "module \"net\" {\n  source = \"../net\"\n}\n");
  repository_.commit();
  EXPECT_THAT(refusal({.url = repository_.url(), .path = "web"}),
              HasSubstr("broken.tf:2: the module source ../net is not part of the content"));
}

TEST_F(FetchTest, NothingOfTheRepositoryIsRun) {
  const fs::path mark = scratch_.path() / "mark";
  const std::string hook = "#!/bin/sh\ntouch " + mark.string() + "\n";
  for (const char* name :
       {"post-checkout", "pre-receive", "post-update", "reference-transaction"}) {
    repository_.write(std::string(".git/hooks/") + name, hook);
    fs::permissions(repository_.path() / ".git/hooks" / name, fs::perms::owner_all);
  }
  repository_.write("web/.gitattributes", "*.tf filter=evil\n");
  repository_.git({"config", "filter.evil.smudge", "touch " + mark.string()});
  repository_.commit();
  fs::remove(mark);  // of the commit itself
  EXPECT_TRUE(fetch_web());
  EXPECT_FALSE(fs::exists(mark));
}

TEST_F(FetchTest, AHostThatRefusesTheConnectionIsUnreachable) {
  // A port that was free a moment ago.
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string host = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  ::close(listener);
  for (const std::string& url : {"https://" + host + "/infra", "ssh://" + host + "/infra"}) {
    const auto fetched = fetch_from({.url = url});
    ASSERT_FALSE(fetched);
    EXPECT_EQ(fetched.error().kind, ErrorKind::kUnavailable) << fetched.error().message;
    EXPECT_THAT(fetched.error().message, HasSubstr(url));
    EXPECT_THAT(fetched.error().message, HasSubstr("cannot be reached"));
  }
}

// Takes connections and says nothing.
class SilentHost {
 public:
  SilentHost() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    ::listen(listener_, 8);
    port_ = ntohs(address.sin_port);
  }
  ~SilentHost() { ::close(listener_); }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_) + "/infra"; }

 private:
  int listener_;
  int port_ = 0;
};

TEST_F(FetchTest, ASourceThatSaysNothingIsGivenUpInTime) {
  const SilentHost silent;
  patience_ = 500ms;
  const auto fetched = fetch_from({.url = silent.url()});
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().kind, ErrorKind::kTimeout);
  EXPECT_THAT(fetched.error().message, HasSubstr("does not answer"));
}

TEST_F(FetchTest, AFetchEndsWhenItIsStopped) {
  const SilentHost silent;
  std::jthread stopper([&] { stop_->raise(); });
  const auto fetched = fetch_from({.url = silent.url()});
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().kind, ErrorKind::kCancelled);
}

TEST_F(FetchTest, OtherTransportsAreNotUsedEvenIfTheConfigurationSaysSo) {
  auto git = Git::prepare(process_environment(), 60s, stop_);
  ASSERT_TRUE(git);
  const auto mark = (scratch_.path() / "mark").string();
  const auto answer = git->run({"ls-remote", "--", "ext::touch " + mark});
  ASSERT_TRUE(answer);
  EXPECT_NE(answer->code, 0);
  EXPECT_THAT(answer->err, HasSubstr("not allowed"));
  EXPECT_FALSE(fs::exists(mark));
}

}  // namespace
}  // namespace provisioner
