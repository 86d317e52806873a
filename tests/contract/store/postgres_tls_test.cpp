// TLS to PostgreSQL: what each sslmode asks of the server's certificate, and ours to the server.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "tests/contract/store/postgres_fixture.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;
using testing::Authority;
using testing::PostgresServer;
using testing::TempDirectory;

// One server for all cases; it takes nobody over the network without TLS.
class TlsServer {
 public:
  TlsServer() : authority_(directory_.path() / "authority") {
    const auto files = authority_.issue("server", "DNS:db.example,IP:127.0.0.1");
    give(files.cert, "server.pem");
    give(files.key, "server.key");
    give(authority_.ca(), "ca.pem");
    for (const char* setting : {"ssl = on", "ssl_cert_file = 'server.pem'",
                                "ssl_key_file = 'server.key'", "ssl_ca_file = 'ca.pem'"}) {
      server_.execute(std::string("ALTER SYSTEM SET ") + setting);
    }
    require_client_certificate(false);
  }

  PostgresServer& server() { return server_; }
  const Authority& authority() const { return authority_; }
  fs::path directory() const { return directory_.path(); }

  void require_client_certificate(bool required) {
    const fs::path hba = server_.directory() / "data" / "pg_hba.conf";
    std::ofstream(hba) << "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256"
                       << (required ? " clientcert=verify-ca\n" : "\n");
    server_.stop();
    server_.start();
  }

 private:
  // PostgreSQL wants its key to be its own and nobody else's to read.
  void give(const fs::path& file, const char* name) {
    const fs::path there = server_.directory() / "data" / name;
    fs::copy_file(file, there);
    fs::permissions(there, fs::perms::owner_read | fs::perms::owner_write);
    struct stat owner{};
    if (stat(server_.directory().c_str(), &owner) != 0 ||
        chown(there.c_str(), owner.st_uid, owner.st_gid) != 0) {
      throw std::runtime_error("cannot give " + there.string() + " to PostgreSQL");
    }
  }

  TempDirectory directory_;
  PostgresServer server_;
  Authority authority_;
};

class PostgresOverTls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { tls_ = std::make_unique<TlsServer>(); }
  static void TearDownTestSuite() { tls_.reset(); }

  PostgresSettings settings(const std::string& sslmode) const {
    PostgresSettings settings = database_.settings();
    settings.sslmode = sslmode;
    settings.sslrootcert = tls_->authority().ca();
    return settings;
  }
  // "" when it opened.
  std::string refusal(const PostgresSettings& settings) {
    auto opened = open_(loop_, settings);
    if (!opened) return opened.error().message;
    store_ = std::move(*opened);
    return "";
  }

  static std::unique_ptr<TlsServer> tls_;
  Database database_{tls_->server()};
  boost::asio::io_context loop_;
  PostgresOpener open_;
  std::unique_ptr<Store> store_;
};
std::unique_ptr<TlsServer> PostgresOverTls::tls_;

TEST_F(PostgresOverTls, EveryConnectionIsEncrypted) {
  EXPECT_EQ(refusal(settings("prefer")), "");
  must(testing::run_task(loop_, store_->workspaces()));
  EXPECT_EQ(database_.execute("SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING "
                              "(pid) WHERE usename = 'provisioner'"),
            std::vector<std::string>{"t"});
}

TEST_F(PostgresOverTls, AServerThatDemandsItRefusesPlainTextInItsOwnWords) {
  const std::string why = refusal(settings("disable"));
  EXPECT_NE(why.find("no encryption"), std::string::npos) << why;
}

TEST_F(PostgresOverTls, TheCertificateOfAnUnknownAuthorityIsRefused) {
  const Authority another(tls_->directory() / "another");
  for (const char* mode : {"verify-ca", "verify-full"}) {
    PostgresSettings distrusting = settings(mode);
    distrusting.sslrootcert = another.ca();
    const std::string why = refusal(distrusting);
    EXPECT_NE(why.find("certificate verify failed"), std::string::npos) << mode << ": " << why;
  }
}

TEST_F(PostgresOverTls, VerifyFullWantsTheNameOfTheHostInTheCertificate) {
  PostgresSettings by_another_name = settings("verify-full");
  by_another_name.hosts[0].name = "localhost";
  const std::string why = refusal(by_another_name);
  EXPECT_NE(why.find("does not match host name"), std::string::npos) << why;
  by_another_name.sslmode = "verify-ca";
  EXPECT_EQ(refusal(by_another_name), "");
  EXPECT_EQ(refusal(settings("verify-full")), "");
}

TEST_F(PostgresOverTls, AServerMayDemandACertificateOfOurs) {
  tls_->require_client_certificate(true);
  const std::string why = refusal(settings("verify-full"));
  EXPECT_NE(why.find("client certificate"), std::string::npos) << why;

  const auto ours = tls_->authority().issue("provisioner");
  fs::permissions(ours.key, fs::perms::owner_read | fs::perms::owner_write);
  PostgresSettings shown = settings("verify-full");
  shown.sslcert = ours.cert;
  shown.sslkey = ours.key;
  EXPECT_EQ(refusal(shown), "");
  store_.reset();
  tls_->require_client_certificate(false);
}

}  // namespace
}  // namespace provisioner
