// Asks the server for a sign of life.
#pragma once

#include <memory>
#include <optional>

#include "store/postgres/pool.hpp"

namespace provisioner::postgres {

// On a connection of its own: it tells how the server is, not how busy the pool is. Without a
// transaction, so a server that answers late still answers. One call at a time; loop only.
class Ping {
 public:
  explicit Ping(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}

  Task<Status> ask();

 private:
  std::shared_ptr<Pool> pool_;
  std::optional<Pool::Lease> lease_;
};

}  // namespace provisioner::postgres
