// Small tables of the whole cluster: instances, settings, the audit.
#pragma once

#include <string>
#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Status> beat_instance(Transaction& tx, const Instance& instance);
Task<Result<std::vector<Instance>>> instances(Transaction& tx);
Task<Result<std::string>> setting_or_insert(Transaction& tx, const std::string& key,
                                            const std::string& value);
Task<Status> audit(Transaction& tx, const AuditEvent& event);

}  // namespace provisioner::postgres
