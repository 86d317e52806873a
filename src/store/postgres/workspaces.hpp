// Workspaces: their definitions, their state rows, their schedules' cursors.
#pragma once

#include <string>
#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<Workspace>> publish(Transaction& tx, const Publication& publication, Instant now);
Task<Status> detach(Transaction& tx, const WorkspaceName& name, const InstanceId& instance,
                    const std::string& by, Instant now);
Task<Result<std::vector<Report>>> reports(Transaction& tx);
Task<Result<std::vector<ConfigChange>>> config_changes(Transaction& tx, const WorkspaceName& name,
                                                       int limit);
Task<Result<std::vector<Workspace>>> workspaces(Transaction& tx);
Task<Result<Workspace>> workspace(Transaction& tx, const WorkspaceName& name);
// The same, and holds the row until the end of the transaction: what every transaction begins with
// that changes a workspace, its runs, schedule or states. So one happens after the other.
Task<Result<Workspace>> lock_workspace(Transaction& tx, const WorkspaceName& name);

Task<Result<Workspace>> update_workspace(Transaction& tx, const Workspace& row, Instant now);
Task<Status> remove_workspace(Transaction& tx, const WorkspaceName& name, const std::string& by,
                              Instant now);
Task<Result<std::vector<ScheduleCursor>>> cursors(Transaction& tx);

// Queue.
Transaction::Answer ask_workspace(Transaction& tx, const WorkspaceName& name);
Transaction::Answer ask_workspaces(Transaction& tx, const std::vector<WorkspaceName>& names);
Transaction::Answer ask_cursor(Transaction& tx, const WorkspaceName& name);

// Queues: writes `changed` over `before`, which was locked, with the next version; nothing when
// they are equal.
void save_workspace(Transaction& tx, const Workspace& before, Workspace changed, Instant now);

// Queues: plans computed from what was there before are refused from now on.
void outdate_plans(Transaction& tx, const WorkspaceName& name);

Task<Result<std::string>> lock_file(Transaction& tx, const WorkspaceName& name);
// Queues.
void set_lock_file(Transaction& tx, const WorkspaceName& name, const std::string& text);

Task<Status> put_bundle(Transaction& tx, const BundleHash& hash, const std::string& content);
Task<Result<std::string>> bundle(Transaction& tx, const BundleHash& hash);
Task<bool> has_bundle(Transaction& tx, const BundleHash& hash);

}  // namespace provisioner::postgres
