// Telling other instances what was committed here, and hearing what they committed.
#pragma once

#include <memory>
#include <vector>

#include "runtime/signal.hpp"
#include "store/postgres/changes.hpp"
#include "store/postgres/pool.hpp"
#include "store/subscribers.hpp"

namespace provisioner::postgres {

// Own changes are told to own subscribers at once, and to others by NOTIFY in a transaction of its
// own after the commit: NOTIFY inside would make all commits wait for each other. What gathers
// while one is on its way goes out with the next. Others' changes arrive on a connection of our own
// that listens; every second the tables are asked for what was missed. Loop only; shared by what it
// has in progress.
class Notifications : public std::enable_shared_from_this<Notifications> {
 public:
  explicit Notifications(std::shared_ptr<Pool> pool)
      : pool_(std::move(pool)), all_sent_(pool_->loop()) {}

  // The first one begins to listen.
  Store::Subscription subscribe(std::function<void(const Change&)> on_change);

  // After a commit.
  void tell(Announcement announcement);

  // Returns when others have been told, too, or after two seconds: a daemon that ends says
  // good-bye.
  Task<> delivered();

 private:
  void tell_subscribers(const Announcement& announcement);
  Task<> send_outbox();
  Task<> listen();
  Task<> listen_on(Connection& connection);
  Task<> look(Connection& connection);

  std::shared_ptr<Pool> pool_;
  std::shared_ptr<Subscribers> subscribers_ = std::make_shared<Subscribers>();
  std::vector<Announcement> outbox_;
  Told told_;
  std::uint64_t seen_all_before_ = 0;  // transactions before it have been told
  bool sending_ = false;
  Signal all_sent_;
  bool listening_ = false;
};

}  // namespace provisioner::postgres
