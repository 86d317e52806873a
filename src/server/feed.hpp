// The last changes of the store, numbered, so that an event stream can be resumed.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "runtime/signal.hpp"
#include "store/store.hpp"

namespace provisioner::server {

// Numbers begin at 1 with each daemon. Changes of logs are not kept. Loop only.
class Feed {
 public:
  static constexpr std::size_t kKept = 4096;

  explicit Feed(Store& store);

  std::uint64_t newest() const { return newest_; }

  // What came after `number`, each key once, by its last change; nullopt when some of it is not
  // kept any more, or `number` is not from here.
  struct News {
    std::uint64_t until = 0;
    std::vector<Change> changes;
  };
  std::optional<News> after(std::uint64_t number) const;

  // `signal` is notified of each change until the returned token is destroyed; it outlives that.
  std::shared_ptr<void> listen(Signal& signal);

 private:
  void take(const Change& change);

  std::deque<Change> kept_;
  std::uint64_t newest_ = 0;  // the number of kept_.back()
  std::shared_ptr<std::set<Signal*>> listeners_ = std::make_shared<std::set<Signal*>>();
  Store::Subscription subscription_;
};

}  // namespace provisioner::server
