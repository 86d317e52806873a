// A value of `variables` or `environment` in a configuration file.
#pragma once

#include <map>
#include <string>

namespace provisioner {

// Secrets are names of places; they are read when a run starts and never stored.
struct ConfigValue {
  enum class Source { kLiteral, kEnv, kFile };
  Source source = Source::kLiteral;
  std::string text;  // literal: its JSON text; env: the variable's name; file: its path

  bool is_secret() const { return source != Source::kLiteral; }
  friend bool operator==(const ConfigValue&, const ConfigValue&) = default;
};
using ConfigValues = std::map<std::string, ConfigValue>;

}  // namespace provisioner
