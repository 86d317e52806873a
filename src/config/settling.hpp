// When a folder that somebody edits is quiet enough to be read.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace provisioner {

// Pure: time is passed in. Many touches of a folder become one action, `quiet` after the last.
class Settling {
 public:
  explicit Settling(Duration quiet) : quiet_(quiet) {}

  void touch(const std::string& folder, BootInstant now) { last_touch_[folder] = now; }

  // It is due at once, unless somebody edits it.
  void want(const std::string& folder, BootInstant now) {
    last_touch_.try_emplace(folder, now - quiet_);
  }

  // The folders without a touch for `quiet`, by name; they are forgotten here.
  std::vector<std::string> take_due(BootInstant now);

  // When take_due() will next have something.
  std::optional<BootInstant> next_due() const;

 private:
  Duration quiet_;
  std::map<std::string, BootInstant> last_touch_;
};

}  // namespace provisioner
