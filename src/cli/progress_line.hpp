// "2 of 3 resources, 14 s" on the last line of a terminal.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.hpp"

namespace provisioner::cli {

// Reads the planned and the finished resources from the log's own words ("Plan: 3 to add, ...",
// "x: Creation complete after 1s"). Writes to standard error, and only when it is a terminal.
class ProgressLine {
 public:
  ProgressLine(bool terminal, BootInstant started) : terminal_(terminal), started_(started) {}

  void take(std::string_view log_text);
  void show(BootInstant now);  // "14 s" until something is planned
  void clear();                // before other text is printed

  std::int64_t planned() const { return planned_; }
  std::int64_t done() const { return done_; }

 private:
  bool terminal_;
  bool shown_ = false;
  BootInstant started_;
  std::int64_t planned_ = 0;
  std::int64_t done_ = 0;
};

}  // namespace provisioner::cli
