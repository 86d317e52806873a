// Commands that become runs. Inner to the room.
#pragma once

#include <expected>
#include <optional>

#include "server/replies.hpp"

namespace provisioner::server {

// 202 with the run. 409 dependents_deployed names what depends on it and is deployed; 409
// workspace_busy.
Task<Reply> queue_destroy(Services& services, const Call& call, const Workspace& row,
                          WhenBusy when_busy);

// Queues what the last occurrence of the schedule said, if the workspace is not that already.
Task<std::expected<void, Problem>> converge_workspace(Services& services, const Call& call,
                                                      const Workspace& row);

}  // namespace provisioner::server
