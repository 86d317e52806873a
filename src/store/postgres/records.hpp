// Small tables of the whole cluster: instances, settings, the audit.
#pragma once

#include <string>
#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<Instance>> enter_instance(Transaction& tx, const Instance& entering);
Task<Result<Instance>> beat_instance(Transaction& tx, const Instance& beating);
Task<Result<Instance>> set_draining(Transaction& tx, const InstanceId& id, bool draining);
Task<Result<std::vector<Instance>>> instances(Transaction& tx);
Task<Result<std::string>> setting_or_insert(Transaction& tx, const std::string& key,
                                            const std::string& value);
Task<Result<Instant>> clock(Transaction& tx);
Task<Status> audit(Transaction& tx, const AuditEvent& event);
Task<Result<std::vector<AuditEvent>>> audit_events(Transaction& tx, const AuditFilter& filter);

}  // namespace provisioner::postgres
