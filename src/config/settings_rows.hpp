// The table of settings with what parses and defaults each row. For this room.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "config/settings.hpp"

namespace provisioner {

struct SettingRow {
  SettingInfo info;
  // Sets the value from its text, which names what is wrong with it otherwise.
  Status (*set)(Settings&, std::string_view text);
  // The text of the default; rows above are set already.
  std::string (*fallback)(const Settings&, const SettingSources&);
  bool is_path = false;  // a relative one in provisioner.toml starts at the config directory
  bool is_secret = false;
};

std::span<const SettingRow> setting_rows();

// What must hold between values; each sentence says how to mend it.
std::vector<std::string> broken_relations(const Settings& settings);

// What may hold, and is unwise; sentences for people.
std::vector<std::string> doubtful_values(const Settings& settings);

}  // namespace provisioner
