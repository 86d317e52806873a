// Changes on their way between instances, and which of them were told already. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.hpp"

namespace provisioner::postgres {

// What one transaction announced. `xid` is its number, which its rows carry.
struct Announcement {
  std::uint64_t xid = 0;
  std::vector<Change> changes;
};

// As payloads of NOTIFY, none longer than PostgreSQL allows. Changes of logs are not among them:
// they are many, and those who follow a log look every second.
std::vector<std::string> to_payloads(std::string_view session,
                                     const std::vector<Announcement>& announcements);

// Nothing for a payload of `session` itself, or of another program.
std::optional<std::vector<Announcement>> from_payload(std::string_view payload,
                                                      std::string_view session);

// Remembers what was told, so that looking at the tables tells only what was missed.
class Told {
 public:
  // True the first time.
  bool note(std::uint64_t xid, const Change& change);
  // Nobody will ask for transactions before `xid` any more.
  void forget_before(std::uint64_t xid);

 private:
  struct Entry {
    std::uint64_t xid;
    Change::Topic topic;
    std::string key;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };
  std::set<Entry> entries_;
};

}  // namespace provisioner::postgres
