// Small tables of the whole cluster: instances, settings, the audit.
#pragma once

#include <string>
#include <vector>

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

Result<Instance> enter_instance(Transaction& tx, const Instance& entering);
Result<Instance> beat_instance(Transaction& tx, const Instance& beating);
Result<Instance> set_draining(Transaction& tx, const InstanceId& id, bool draining);
Result<std::vector<Instance>> instances(Transaction& tx);
Result<std::string> setting_or_insert(Transaction& tx, const std::string& key,
                                      const std::string& value);
Result<Instant> clock(Transaction& tx);
Status audit(Transaction& tx, const AuditEvent& event);
Result<std::vector<AuditEvent>> audit_events(Transaction& tx, const AuditFilter& filter);

}  // namespace provisioner::sqlite
