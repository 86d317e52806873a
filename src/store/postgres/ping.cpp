#include "store/postgres/ping.hpp"

namespace provisioner::postgres {

Task<Status> Ping::ask() {
  const PostgresSettings& settings = pool_->settings();
  Clock& clock = pool_->clock();
  try {
    if (!lease_ || (*lease_)->hung_up()) {
      lease_.reset();
      lease_.emplace(co_await pool_->open_extra(clock.boot_now() + settings.call_deadline));
    }
    const Query query("SELECT 1");
    ++pool_->counters().round_trips;
    co_await (*lease_)->round_trip({&query, 1}, clock.boot_now() + settings.statement_deadline);
    co_return Status();
  } catch (const SqlError& error) {
    lease_.reset();
    co_return std::unexpected(error.error());
  }
}

}  // namespace provisioner::postgres
