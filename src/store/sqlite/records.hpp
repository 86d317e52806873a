// Small tables of the whole cluster: instances, settings, the audit.
#pragma once

#include <string>
#include <vector>

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

Status beat_instance(Transaction& tx, const Instance& instance);
Result<std::vector<Instance>> instances(Transaction& tx);
Result<std::string> setting_or_insert(Transaction& tx, const std::string& key,
                                      const std::string& value);
Status audit(Transaction& tx, const AuditEvent& event);

}  // namespace provisioner::sqlite
