// Commands that become runs. Inner to the room.
#pragma once

#include <expected>
#include <optional>

#include "server/replies.hpp"

namespace provisioner::server {

// Queues `run` as the caller's own command, which names all but id, times and who asked. 409
// workspace_busy or job_busy.
Task<std::expected<Run, Problem>> enqueue(Services& services, const Call& call, NewRun run,
                                          WhenBusy when_busy);

// 202 with the run.
http::Response accepted(const Run& run);

// 202 with the run. 409 dependents_deployed names what depends on it and is deployed; 409
// workspace_busy.
Task<Reply> queue_destroy(Services& services, const Call& call, const Workspace& row,
                          WhenBusy when_busy);

// Queues what the last occurrence of the schedule said, if the workspace is not that already.
Task<std::expected<void, Problem>> converge_workspace(Services& services, const Call& call,
                                                      const Workspace& row);

}  // namespace provisioner::server
