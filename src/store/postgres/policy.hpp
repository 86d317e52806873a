// What a failure means for the call that met it: pure, so that it can be read and tested whole.
#pragma once

#include <string_view>

namespace provisioner::postgres {

enum class Verdict {
  kRetry,      // nothing was kept: the same transaction again, on the same connection
  kReconnect,  // nothing was kept: again, on another connection
  kAmbiguous,  // it may have been kept: the caller looks up by its idempotency key
  kFail,       // nothing was kept, and again would not help
};

// How far the transaction had come.
struct Progress {
  bool changes = false;    // it writes, or locks rows; a reader may always be repeated
  bool last_sent = false;  // its COMMIT was sent (autocommit: the statement itself)
  bool broken = false;     // the connection is lost
};

// ha.md's rules by SQLSTATE; "" = lost without a word, or a client's deadline.
Verdict judge(std::string_view sqlstate, const Progress& progress);

}  // namespace provisioner::postgres
