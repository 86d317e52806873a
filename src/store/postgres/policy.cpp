#include "store/postgres/policy.hpp"

namespace provisioner::postgres {

Verdict judge(std::string_view sqlstate, const Progress& progress) {
  // serialization_failure, deadlock_detected, lock_not_available: the server has undone it, and
  // says so, whatever was sent.
  if (sqlstate == "40001" || sqlstate == "40P01" || sqlstate == "55P03") {
    return progress.broken ? Verdict::kReconnect : Verdict::kRetry;
  }
  // read_only_sql_transaction: a stand-by, or a primary that has become one. A statement prepared
  // before a migration (0A000) is prepared anew on another connection.
  if (sqlstate == "25006" || sqlstate == "0A000") return Verdict::kReconnect;
  const bool away = progress.broken || sqlstate.starts_with("08") || sqlstate == "57P01" ||
                    sqlstate == "57P02" || sqlstate == "57P03" || sqlstate == "25P03";
  if (!away) return Verdict::kFail;
  return progress.changes && progress.last_sent ? Verdict::kAmbiguous : Verdict::kReconnect;
}

}  // namespace provisioner::postgres
