// What SIGHUP and `systemctl reload` do: settings, certificates and workspaces are read again. What
// is wrong changes nothing, and is said.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/daemon.hpp"
#include "app/process.hpp"

namespace provisioner {
namespace {

// These take effect at once; the others are bound to sockets, stores and elections that exist.
constexpr std::array<std::string_view, 4> kGroups = {"api.", "log.level", "retention.",
                                                     "shutdown."};
constexpr std::string_view kCapacity = "execution.capacity";

bool takes_effect_at_once(std::string_view key) {
  return key == kCapacity ||
         std::ranges::any_of(kGroups, [&](auto group) { return key.starts_with(group); });
}

void append(std::string& list, std::string_view key) {
  if (!list.empty()) list += ", ";
  list += key;
}

}  // namespace

void Daemon::reload() {
  // READY=1 also ends a reload: who still starts, or already stops, must not say it.
  const bool serves = waiting_for_.empty() && stop_requests_ == 0;
  if (serves) {
    notify_systemd("RELOADING=1\nSTATUS=reading settings, certificates and workspaces again");
  }
  reload_settings();
  renew_certificate();
  rescan_.notify();
  if (serves) notify_systemd("READY=1\nSTATUS=" + (refusal_.empty() ? "serving" : refusal_));
}

void Daemon::reload_settings() {
  auto loaded = read_settings_();
  if (!loaded) {
    log_.error("the settings in use stay: " + loaded.error().message);
    return;
  }
  std::string taken, later;
  for (std::size_t i = 0; i < origins_.size(); ++i) {  // both in the order of the table
    const SettingOrigin& fresh = loaded->origins[i];
    if (fresh.value == origins_[i].value) continue;
    if (takes_effect_at_once(fresh.key)) {
      append(taken, fresh.key);
      origins_[i] = fresh;
    } else {
      append(later, fresh.key);
    }
  }
  if (!later.empty()) {
    log_.warning("settings that changed and take effect at the next start: " + later);
  }
  if (taken.empty()) return;

  const Settings& fresh = loaded->settings;
  settings_.log.level = fresh.log.level;
  settings_.execution.capacity = fresh.execution.capacity;
  settings_.api = fresh.api;
  settings_.retention = fresh.retention;
  settings_.shutdown = fresh.shutdown;
  *log_threshold_ = parse_log_level(fresh.log.level).value_or(LogLevel::kInfo);
  if (dispatcher_) {
    dispatcher_->set_capacity(fresh.execution.capacity);
    scheduler_->set_retention(retention_of(settings_));
    api_->set_limits(access_limits(settings_));
  }
  log_.info("settings that changed and took effect: " + taken);
}

}  // namespace provisioner
