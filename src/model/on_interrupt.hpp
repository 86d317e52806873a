#pragma once

namespace provisioner {

// What becomes of a run whose attempt was lost with its directory, so that nobody can tell what it
// made: its workspace is held until a person has looked, or the run is tried again all the same.
enum class OnInterrupt { kHold, kResume };

}  // namespace provisioner
