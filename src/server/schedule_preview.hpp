// What of a schedule a request asks for: of a workspace with its jobs, or of one job. Inner to the
// room.
#pragma once

#include "server/replies.hpp"

namespace provisioner::server {

// 200 with the points of `row`'s own schedule and those of its jobs; of `job` alone when it is
// named. Jobs that are off, and those of a workspace that is disabled or detached, have none.
Reply reply_preview(Services& services, const Call& call, const Workspace& row,
                    const std::optional<JobName>& job = std::nullopt);

}  // namespace provisioner::server
