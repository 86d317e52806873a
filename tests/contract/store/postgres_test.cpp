// The PostgreSQL store against the contract, and what only a server and a network can do to us.
#include <gmock/gmock.h>

#include "tests/contract/store/postgres_fixture.hpp"

namespace provisioner {
namespace {

const auto kPostgres = ::testing::Values(
    StoreMaker{.name = "postgres", .fresh = [] {
                 auto database = std::make_shared<Database>();
                 return [database, open = PostgresOpener()](boost::asio::io_context& loop) mutable {
                   return open(loop, database->settings());
                 };
               }});

INSTANTIATE_TEST_SUITE_P(Postgres, StoreContract, kPostgres,
                         [](const auto& i) { return i.param.name; });

}  // namespace
}  // namespace provisioner
