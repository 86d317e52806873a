#include <gtest/gtest.h>

#include "store/copy/copy_store.hpp"

namespace provisioner {
namespace {

TEST(PostgresUrl, NamesHostsDatabaseUserAndTls) {
  const auto settings = parse_postgres_url(
      "postgres://me@db1:5433,db2/pro%20v?sslmode=verify-full&sslrootcert=/etc/ca.pem");
  ASSERT_TRUE(settings) << settings.error().message;
  ASSERT_EQ(settings->hosts.size(), 2u);
  EXPECT_EQ(settings->hosts[0].name, "db1");
  EXPECT_EQ(settings->hosts[0].port, 5433);
  EXPECT_EQ(settings->hosts[1].name, "db2");
  EXPECT_EQ(settings->hosts[1].port, 5432);
  EXPECT_EQ(settings->user, "me");
  EXPECT_EQ(settings->database, "pro v");
  EXPECT_EQ(settings->sslmode, "verify-full");
  EXPECT_EQ(settings->sslrootcert, "/etc/ca.pem");
  EXPECT_EQ(postgres_url(*settings), "postgres://me@db1:5433,db2:5432/pro v");
}

TEST(PostgresUrl, TakesTheDirectoryOfASocket) {
  const auto settings = parse_postgres_url("postgresql://me@%2Frun%2Fpostgresql/prov");
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->hosts.at(0).name, "/run/postgresql");
  EXPECT_EQ(settings->hosts.at(0).port, 5432);
}

TEST(PostgresUrl, RefusesWhatIsWrongUnsafeOrIncomplete) {
  for (const char* url :
       {"", "db1", "mysql://me@db1/prov", "postgres://me:secret@db1/prov", "postgres://db1/prov",
        "postgres://me@db1", "postgres://me@/prov", "postgres://me@db1:0/prov",
        "postgres://me@db1:70000/prov", "postgres://me@db1/prov?sslmod=require",
        "postgres://me@db1/prov?options=-cx%3Dy"}) {
    const auto settings = parse_postgres_url(url);
    ASSERT_FALSE(settings) << url;
    EXPECT_EQ(settings.error().kind, ErrorKind::kInvalid) << url;
    EXPECT_EQ(settings.error().message.find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace provisioner
