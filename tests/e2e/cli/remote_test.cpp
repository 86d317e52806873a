// The whole command line from elsewhere: https, tokens, real certificates, and what is said when
// one of them is wrong.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/support/certificates.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class Remote : public ::testing::Test {
 protected:
  // The files that the daemon reads; a renewal replaces them.
  std::filesystem::path cert() const { return directory_ / "daemon.pem"; }
  std::filesystem::path key() const { return directory_ / "daemon.key"; }
  void install(const http::TlsSettings& settings) const {
    for (const auto& [from, to] : {std::pair{settings.cert, cert()}, {settings.key, key()}}) {
      std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
    }
  }

  void start(const http::TlsSettings& settings) {
    install(settings);
    installation_.add_workspace("shop", {{"description", "a shop"}});
    installation_.environment["PROVISIONER_LISTEN"] = "127.0.0.1:0";
    installation_.environment["PROVISIONER_TLS_CERT"] = cert();
    installation_.environment["PROVISIONER_TLS_KEY"] = key();
    installation_.start();
    ASSERT_TRUE(eventually(
        30s, [&] { return installation_.command({"workspace", "show", "shop"}).code == 0; }));
    const std::string log = installation_.log();
    const std::string begin = "https://127.0.0.1:";
    const auto at = log.find(begin);
    ASSERT_NE(at, std::string::npos) << log;
    port_ = log.substr(at + begin.size(), log.find('"', at) - at - begin.size());
  }

  // Makes it over the socket; the token is what is printed.
  std::string token(const std::string& name, std::vector<std::string> options) const {
    options.insert(options.begin(), {"token", "create", name});
    const Finished made = installation_.command(options);
    EXPECT_EQ(made.code, 0) << made.err;
    write_file(directory_ / name, made.out);
    return made.out.substr(0, made.out.find('\n'));
  }

  // As somebody elsewhere, with the token of that name.
  Finished ask(const std::string& name, std::vector<std::string> arguments,
               const std::string& host = "localhost", std::filesystem::path ca = {}) const {
    arguments.insert(arguments.end(), {"--server", "https://" + host + ":" + port_, "--ca",
                                       ca.empty() ? authority_.ca().string() : ca.string()});
    if (!name.empty()) arguments.insert(arguments.end(), {"--token-file", directory_ / name});
    return installation_.command(arguments);
  }

  TempDirectory directory_;
  Authority authority_{directory_ / "ours"};
  Authority other_{directory_ / "theirs"};
  Installation installation_;
  std::string port_;
};

TEST_F(Remote, DeploysAndFollowsTheLogWithAToken) {
  start(authority_.issue("server"));
  const std::string secret = token("ci", {"--role", "operator", "--workspace", "sh*"});
  const auto done = ask("ci", {"workspace", "deploy", "shop"});
  EXPECT_EQ(done.code, 0) << done.err << installation_.log();
  EXPECT_THAT(done.out, HasSubstr("Creation complete"));
  EXPECT_EQ(installation_.runs("shop").at(0)["requested_by"], "token:ci");
  const auto listed = ask("ci", {"workspace", "list", "--output", "json"});
  EXPECT_EQ(Json::parse(listed.out)["items"].size(), 1u);

  EXPECT_EQ(installation_.command({"token", "revoke", "ci", "--yes"}).code, 0);
  const auto refused = ask("ci", {"workspace", "list"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("token ci was revoked at"));
  EXPECT_THAT(installation_.log(), Not(HasSubstr(secret.substr(4, 20))));
}

TEST_F(Remote, AnAdminReadsStatesAndRunsTofuByHand) {
  start(authority_.issue("server"));
  token("root", {"--role", "admin", "--expires", "1h"});
  ASSERT_EQ(ask("root", {"workspace", "deploy", "shop"}).code, 0) << installation_.log();
  const auto pulled = ask("root", {"state", "pull", "shop"});
  EXPECT_EQ(pulled.code, 0) << pulled.err;
  EXPECT_THAT(pulled.out, HasSubstr("terraform_data"));
  const std::vector<std::string> words = {"--server",     "https://localhost:" + port_,
                                          "--ca",         authority_.ca(),
                                          "--token-file", directory_ / "root",
                                          "tofu",         "shop",
                                          "--",           "state",
                                          "list"};
  const auto by_hand = installation_.command(words, 120s);
  EXPECT_EQ(by_hand.code, 0) << by_hand.err;
  EXPECT_THAT(by_hand.out, HasSubstr("terraform_data.one"));
}

TEST_F(Remote, SaysWhyATokenIsNotEnough) {
  start(authority_.issue("server"));
  token("look", {"--role", "viewer"});
  token("team", {"--role", "operator", "--workspace", "team-*"});
  write_file(directory_ / "half", "pvr_half\n");
  write_file(directory_ / "empty", "\n");
  struct Case {
    const char* token;
    std::vector<std::string> arguments;
    int code;
    const char* text;
  };
  for (const Case& c : std::vector<Case>{
           {"look", {"workspace", "deploy", "shop"}, 1, "token:look is viewer, and this is for "},
           {"look", {"token", "list"}, 1, "this is for admin"},
           {"team", {"workspace", "show", "shop"}, 1, "is for the workspaces team-*, not for shop"},
           {"", {"workspace", "list"}, 1, "provisioner token create NAME --role viewer"},
           {"half", {"workspace", "list"}, 1, "not a whole one"},
           {"empty", {"workspace", "list"}, 2, "holds no token"},
           {"none", {"workspace", "list"}, 3, "none: No such file"},
       }) {
    const auto refused = ask(c.token, c.arguments);
    EXPECT_EQ(refused.code, c.code) << c.token << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(c.text)) << c.token;
  }
}

TEST_F(Remote, TrustsNoStrangerAndSaysWhatWouldHelp) {
  start(authority_.issue("server", "DNS:localhost"));
  token("look", {"--role", "viewer"});
  EXPECT_EQ(ask("look", {"workspace", "list"}).code, 0);
  const auto unknown = ask("look", {"workspace", "list"}, "localhost", other_.ca());
  EXPECT_EQ(unknown.code, 5);
  EXPECT_THAT(unknown.err, HasSubstr("the certificate of localhost is not accepted"));
  EXPECT_THAT(unknown.err, HasSubstr("--ca FILE"));
  const auto wrong_host = ask("look", {"workspace", "list"}, "127.0.0.1");
  EXPECT_EQ(wrong_host.code, 5);
  EXPECT_THAT(wrong_host.err, HasSubstr("127.0.0.1"));
  const auto plain =
      installation_.command({"workspace", "list", "--server", "http://localhost:" + port_});
  EXPECT_EQ(plain.code == 0, false);
}

TEST_F(Remote, AnExpiredCertificateStopsNoScheduleAndIsSaid) {
  start(authority_.issue("server", "DNS:localhost", -1));
  token("look", {"--role", "viewer"});
  const auto expired = ask("look", {"workspace", "list"});
  EXPECT_EQ(expired.code, 5);
  EXPECT_THAT(expired.err, HasSubstr("certificate has expired"));
  EXPECT_THAT(installation_.log(), HasSubstr("daemon.pem expired at "));
  EXPECT_EQ(installation_.command({"workspace", "list"}).code, 0) << "over the socket";
}

TEST_F(Remote, ARenewedCertificateIsServedAfterSighupAndABrokenOneNever) {
  start(authority_.issue("server"));
  token("look", {"--role", "viewer"});
  install(other_.issue("server"));
  installation_.daemon().signal(SIGHUP);
  EXPECT_TRUE(eventually(30s, [&] {
    return ask("look", {"workspace", "list"}, "localhost", other_.ca()).code == 0;
  })) << installation_.log();
  EXPECT_EQ(ask("look", {"workspace", "list"}).code, 5);

  write_file(cert(), "not a certificate");
  installation_.daemon().signal(SIGHUP);
  EXPECT_TRUE(eventually(30s, [&] {
    return installation_.log().find("the certificate in use stays") != std::string::npos;
  }));
  EXPECT_THAT(installation_.log(), HasSubstr("daemon.pem is no certificate in PEM"));
  EXPECT_EQ(ask("look", {"workspace", "list"}, "localhost", other_.ca()).code, 0);
}

TEST_F(Remote, AskedForAClientCertificateItIsNeededBesideTheToken) {
  installation_.environment["PROVISIONER_TLS_CLIENT_CA"] = other_.ca();
  start(authority_.issue("server"));
  token("look", {"--role", "viewer"});
  EXPECT_EQ(ask("look", {"workspace", "list"}).code, 5);
  const auto mine = other_.issue("me");
  const std::vector<std::string> shown = {"workspace", "list",  "--cert",
                                          mine.cert,   "--key", mine.key};
  EXPECT_EQ(ask("look", shown).code, 0);
  EXPECT_EQ(ask("", shown).code, 1) << "the certificate alone is no token";
}

TEST_F(Remote, ADaemonThatCannotSpeakTlsSaysWhyAndDoesNotStart) {
  const auto good = authority_.issue("server");
  const auto stranger = other_.issue("server");
  write_file(directory_ / "garbage", "garbage");
  struct Case {
    std::string cert, key;
    const char* text;
  };
  for (const Case& c : {Case{directory_ / "none.pem", good.key, "none.pem: No such file"},
                        {directory_ / "garbage", good.key, "garbage is no certificate in PEM"},
                        {good.cert, stranger.key, "is no key of that certificate"},
                        {good.cert, "", "tls.cert is set and tls.key is not"}}) {
    installation_.environment["PROVISIONER_LISTEN"] = "127.0.0.1:0";
    installation_.environment["PROVISIONER_TLS_CERT"] = c.cert;
    installation_.environment["PROVISIONER_TLS_KEY"] = c.key;
    const auto refused = installation_.command({"serve"});
    EXPECT_NE(refused.code, 0);
    EXPECT_THAT(refused.err, HasSubstr(c.text));
  }
}

}  // namespace
}  // namespace provisioner::testing
