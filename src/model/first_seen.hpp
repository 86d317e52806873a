#pragma once

namespace provisioner {

// What the schedule means for a workspace that the store never saw: act on the last occurrence (of
// the past 7 days at most), or wait for the next one.
enum class FirstSeen { kLookBack, kWait };

}  // namespace provisioner
