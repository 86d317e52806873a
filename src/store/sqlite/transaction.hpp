// What a call sees of the batch it runs in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/random.hpp"
#include "store/sqlite/connection.hpp"
#include "store/store.hpp"

namespace provisioner::sqlite {

// A call's savepoint inside the batch's transaction. What it announces reaches the subscribers only
// when both are kept.
class Transaction {
 public:
  explicit Transaction(Connection& connection) : connection_(&connection) {}

  Statement sql(std::string_view sql) { return connection_->sql(sql); }
  void announce(Change::Topic topic, std::string key) {
    changes_.push_back({topic, std::move(key)});
  }
  void announce(Change::Topic topic, const RunId& run, const WorkspaceName& workspace) {
    changes_.push_back({topic, run.value, workspace.value});
  }
  std::string new_id(Instant now) { return random_.run_id(now).value; }

  std::vector<Change>& changes() { return changes_; }

 private:
  Connection* connection_;
  SystemRandom random_;
  std::vector<Change> changes_;
};

}  // namespace provisioner::sqlite
