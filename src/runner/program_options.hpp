// The command line of the programs that people do not call: a role, "--name value" pairs, and after
// "--" a command.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"

namespace provisioner::runner {

class ProgramOptions {
 public:
  ProgramOptions(int argc, char** argv);

  // "" when the line is not of the form above.
  const std::string& role() const { return role_; }

  std::string text(std::string_view name) const;  // "" = absent
  std::int64_t number(std::string_view name, std::int64_t otherwise) const;
  Duration micros(std::string_view name, Duration otherwise) const {
    return Duration(number(name, otherwise.count()));
  }
  const std::vector<std::string>& command() const { return command_; }

 private:
  std::string role_;
  std::map<std::string, std::string, std::less<>> options_;
  std::vector<std::string> command_;
};

}  // namespace provisioner::runner
