// In whose name the folders of this machine are reported to the store.
#pragma once

#include "base/ids.hpp"
#include "config/settings.hpp"

namespace provisioner {

// The instance; whatever a laptop is called today, an embedded store has one set of folders.
inline InstanceId reporter_of(const Settings& settings) {
  return settings.database.host.empty() ? InstanceId("embedded") : settings.instance_id;
}

}  // namespace provisioner
