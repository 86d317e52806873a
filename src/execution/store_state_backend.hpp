// The keeper of one tofu state: the store, bound to a slot and to whoever writes.
#pragma once

#include <optional>
#include <string>

#include "model/run.hpp"
#include "runtime/clock.hpp"
#include "store/store.hpp"
#include "tofu/state_protocol.hpp"

namespace provisioner::execution {

// With a fence every write is the attempt's (the store refuses a stale one); without, a person's
// locked command, and `actor` says whose. Holds references: store and clock outlive it. Bodies that
// are no state are kInvalid and never reach the store.
class StoreStateBackend final : public tofu::StateBackend {
 public:
  StoreStateBackend(Store& store, const Clock& clock, StateSlot slot,
                    std::optional<AttemptFence> by, std::string actor)
      : store_(store),
        clock_(clock),
        slot_(std::move(slot)),
        by_(std::move(by)),
        actor_(std::move(actor)) {}

  Task<Result<std::optional<std::string>>> read() override;
  Task<Result<std::optional<std::string>>> lock(std::string lock_id,
                                                std::string info_json) override;
  Task<Status> unlock(std::string lock_id) override;
  Task<Status> write(std::string lock_id, std::string body) override;

 private:
  Store& store_;
  const Clock& clock_;
  StateSlot slot_;
  std::optional<AttemptFence> by_;
  std::string actor_;
};

}  // namespace provisioner::execution
