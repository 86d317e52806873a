// Workspaces: their definitions, their state rows, their schedules' cursors.
#pragma once

#include <vector>

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

Result<Workspace> publish(Transaction& tx, const Publication& publication, Instant now);
Status detach(Transaction& tx, const WorkspaceName& name, const InstanceId& instance,
              const std::string& by, Instant now);
Result<std::vector<Report>> reports(Transaction& tx);
Result<std::vector<ConfigChange>> config_changes(Transaction& tx, const WorkspaceName& name,
                                                 int limit);
Result<std::vector<Workspace>> workspaces(Transaction& tx);
Result<Workspace> workspace(Transaction& tx, const WorkspaceName& name);
Result<Workspace> update_workspace(Transaction& tx, const Workspace& row, Instant now);
Status remove_workspace(Transaction& tx, const WorkspaceName& name, const std::string& by,
                        Instant now);
Result<std::vector<ScheduleCursor>> cursors(Transaction& tx);
Result<ScheduleCursor> cursor(Transaction& tx, const WorkspaceName& name);

// Writes `changed` over `before`, with the next version; nothing when they are equal.
void save_workspace(Transaction& tx, const Workspace& before, Workspace changed, Instant now);

// Plans computed from what was there before are refused from now on.
void outdate_plans(Transaction& tx, const WorkspaceName& name);

std::string lock_file(Transaction& tx, const WorkspaceName& name);
void set_lock_file(Transaction& tx, const WorkspaceName& name, const std::string& text);

Status put_bundle(Transaction& tx, const BundleHash& hash, const std::string& content);
Result<std::string> bundle(Transaction& tx, const BundleHash& hash);
bool has_bundle(Transaction& tx, const BundleHash& hash);

}  // namespace provisioner::sqlite
