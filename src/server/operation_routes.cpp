#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "scheduler/situation.hpp"
#include "server/body.hpp"
#include "server/operation.hpp"

namespace provisioner::server {
namespace {

constexpr std::size_t kLongestKey = 200;
constexpr Duration kLookBack = std::chrono::hours(24 * 400);  // past a yearly schedule

struct OperationBody {
  std::string mode;
  WhenBusy when_busy = WhenBusy::kRefuse;
  bool upgrade = false;
};

std::expected<OperationBody, Problem> parse_body(const Call& call,
                                                 std::span<const std::string_view> fields) {
  const auto body = CommandBody::parse(call.request, fields);
  if (!body) return std::unexpected(body.error());
  const auto mode = body->text("mode");
  if (!mode) return std::unexpected(mode.error());
  const auto queue = body->flag("queue");
  if (!queue) return std::unexpected(queue.error());
  const auto upgrade = body->flag("upgrade");
  if (!upgrade) return std::unexpected(upgrade.error());
  return OperationBody{*mode, *queue ? WhenBusy::kSupersede : WhenBusy::kRefuse, *upgrade};
}

// Callers choose keys: one's own must not meet another's, nor that of another command.
std::expected<std::string, Problem> idempotency_key(const Call& call) {
  std::string key = call.request.header("Idempotency-Key");
  if (key.empty()) return key;
  if (key.size() > kLongestKey) {
    return refuse(422, "invalid_request",
                  fmt::format("Idempotency-Key: longer than {} bytes", kLongestKey));
  }
  return fmt::format("{} {} {}", call.caller.actor, call.request.path(), key);
}

}  // namespace

http::Response accepted(const Run& run) {
  http::Response response = http::json_response(202, render(run) + "\n");
  response.headers["Location"] = "/api/v1/runs/" + run.id.value;
  return response;
}

Task<std::expected<Run, Problem>> enqueue(Services& services, const Call& call, NewRun run,
                                          WhenBusy when_busy) {
  auto key = idempotency_key(call);
  if (!key) co_return std::unexpected(key.error());
  run.idempotency_key = std::move(*key);
  run.created_at = services.now();
  run.id = services.parts.random.run_id(run.created_at);
  run.trigger = Trigger::kManual;
  run.requested_by = call.caller.actor;
  run.correlation_id = call.correlation;
  const RunId id = run.id;
  const bool is_of_job = !run.job.empty();
  Result<Run> queued = co_await services.parts.store.enqueue(std::move(run), when_busy);
  if (!queued && queued.error().kind == ErrorKind::kAmbiguous) {
    Result<Run> looked_up = co_await services.parts.store.run(id);
    if (looked_up) queued = std::move(looked_up);
  }
  if (queued) co_return std::move(*queued);
  Problem problem = problem_of(queued.error());
  if (queued.error().kind == ErrorKind::kConflict) {
    problem.code = is_of_job ? "job_busy" : "workspace_busy";
    problem.detail += "; --queue (queue: true) queues this one, in place of one that waits there";
  }
  co_return std::unexpected(std::move(problem));
}

namespace {

// What a deploy of a workspace with modes means when none is given: the timeline's, else the last.
std::string present_mode(const Workspace& row, const Timeline& timeline, Instant now) {
  if (const auto last = timeline.last(now - kLookBack, now); last && *last) {
    const TimelineRule& rule = timeline.rules()[(*last)->rule];
    if (rule.action == Action::kDeploy && !rule.mode.empty()) return rule.mode;
  }
  return row.mode.empty() ? row.deployed_mode : row.mode;
}

std::expected<std::string, Problem> choose_mode(Services& services, const Workspace& row,
                                                const std::string& wanted) {
  const auto parsed = services.specs.get(row);
  if (!parsed) return refuse(parsed.error());
  const std::vector<std::string> modes = (*parsed)->spec.modes();
  if (modes.empty()) {
    if (wanted.empty()) return "";
    return refuse(422, "unknown_mode",
                  fmt::format("workspace {} has no modes (mode_schedules in its config.json)",
                              row.name.value));
  }
  std::string mode =
      wanted.empty() ? present_mode(row, (*parsed)->timeline, services.now()) : wanted;
  if (std::ranges::count(modes, mode) > 0) return mode;
  const std::string listed = join(modes, ", ");
  if (wanted.empty()) {
    return refuse(
        422, "mode_required",
        fmt::format("say in which mode to deploy workspace {}: {}", row.name.value, listed), modes);
  }
  return refuse(
      422, "unknown_mode",
      fmt::format("workspace {} has no mode \"{}\", only {}", row.name.value, wanted, listed),
      modes);
}

// "" when nothing is in the way of a deploy.
Task<std::expected<std::string, Problem>> waits_for_others(Services& services,
                                                           const Workspace& row) {
  const auto parsed = services.specs.get(row);
  if (!parsed) co_return refuse(parsed.error());
  Neighbours neighbours;
  for (const WorkspaceName& name : (*parsed)->spec.depends_on) {
    const auto other = co_await services.parts.store.workspace(name);
    if (!other && other.error().kind != ErrorKind::kNotFound) co_return refuse(other.error());
    if (!other || other->status != WorkspaceStatus::kDeployed) {
      neighbours.not_deployed.push_back(name);
    }
  }
  co_return waits_for(neighbours, Operation::kDeploy);
}

// "" when nothing is in the way of a destroy: its own template jobs go first.
Task<std::expected<std::string, Problem>> waits_for_template_jobs(Services& services,
                                                                  const WorkspaceName& name) {
  const auto jobs = co_await services.parts.store.jobs(name);
  if (!jobs) co_return refuse(jobs.error());
  Neighbours neighbours;
  for (const Job& job : *jobs) {
    if (may_have_resources(job)) neighbours.template_jobs.push_back(job.name);
  }
  co_return waits_for(neighbours, Operation::kDestroy);
}

Task<std::expected<Run, Problem>> queue_deploy(Services& services, const Call& call,
                                               const Workspace& row, OperationBody body,
                                               Operation operation) {
  const auto mode = choose_mode(services, row, body.mode);
  if (!mode) co_return std::unexpected(mode.error());
  NewRun run{.workspace = row.name,
             .operation = operation,
             .mode = *mode,
             .definition = row.current,
             .upgrade = body.upgrade};
  if (operation == Operation::kDeploy) {
    auto waiting = co_await waits_for_others(services, row);
    if (!waiting) co_return std::unexpected(waiting.error());
    run.waiting_for = std::move(*waiting);
  }
  co_return co_await enqueue(services, call, std::move(run), body.when_busy);
}

Task<Reply> deploy_or_plan(Services& services, const Call& call,
                           std::span<const std::string_view> fields, Operation operation) {
  const auto body = parse_body(call, fields);
  if (!body) co_return std::unexpected(body.error());
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  if (row->detached && operation == Operation::kDeploy) {
    co_return refuse(
        409, "workspace_detached",
        fmt::format("workspace {0} is detached: its folder has vanished, and nothing new is "
                    "deployed of it. Put the folder back, or end it with `workspace remove {0} "
                    "--destroy`",
                    row->name.value));
  }
  const auto run = co_await queue_deploy(services, call, *row, *body, operation);
  if (!run) co_return std::unexpected(run.error());
  co_return accepted(*run);
}

// Who depends on `name` and may still use it.
Task<std::expected<std::vector<std::string>, Problem>> deployed_dependents(
    Services& services, const WorkspaceName& name) {
  const auto rows = co_await services.parts.store.workspaces();
  if (!rows) co_return refuse(rows.error());
  std::vector<std::string> dependents;
  for (const Workspace& other : *rows) {
    if (!may_have_resources(other)) continue;
    const auto parsed = services.specs.get(other);
    if (parsed && std::ranges::count((*parsed)->spec.depends_on, name) > 0) {
      dependents.push_back(other.name.value);
    }
  }
  co_return dependents;
}

}  // namespace

Task<Reply> queue_destroy(Services& services, const Call& call, const Workspace& row,
                          WhenBusy when_busy) {
  auto waiting = co_await waits_for_template_jobs(services, row.name);
  if (!waiting) co_return std::unexpected(waiting.error());
  const auto dependents = co_await deployed_dependents(services, row.name);
  if (!dependents) co_return std::unexpected(dependents.error());
  if (!dependents->empty()) {
    co_return refuse(409, "dependents_deployed",
                     fmt::format("{} depends on workspace {}: destroy it first",
                                 join(*dependents, " and "), row.name.value),
                     *dependents);
  }
  NewRun run{.workspace = row.name,
             .operation = Operation::kDestroy,
             .mode = row.deployed_mode,
             .definition = row.deployed.value_or(row.current),
             .waiting_for = std::move(*waiting)};
  const auto queued = co_await enqueue(services, call, std::move(run), when_busy);
  if (!queued) co_return std::unexpected(queued.error());
  co_return accepted(*queued);
}

Task<std::expected<void, Problem>> converge_workspace(Services& services, const Call& call,
                                                      const Workspace& row) {
  using Done = std::expected<void, Problem>;
  const auto parsed = services.specs.get(row);
  if (!parsed) co_return refuse(parsed.error());
  const Timeline& timeline = (*parsed)->timeline;
  const Instant now = services.now();
  const auto last = timeline.last(now - kLookBack, now);
  if (!last) co_return refuse(last.error());
  if (!*last) co_return Done();
  const TimelineRule& rule = timeline.rules()[(*last)->rule];
  if (rule.action == Action::kDestroy) {
    if (!may_have_resources(row)) co_return Done();
    const Reply reply = co_await queue_destroy(services, call, row, WhenBusy::kSupersede);
    if (!reply) co_return std::unexpected(reply.error());
    co_return Done();
  }
  const bool is_so = row.status == WorkspaceStatus::kDeployed && row.mode == rule.mode &&
                     row.deployed && row.deployed->same_content(row.current);
  if (is_so || row.detached) co_return Done();
  const auto run = co_await queue_deploy(services, call, row,
                                         {.mode = rule.mode, .when_busy = WhenBusy::kSupersede},
                                         Operation::kDeploy);
  if (!run) co_return std::unexpected(run.error());
  co_return Done();
}

Task<Reply> deploy_workspace(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"mode", "queue", "upgrade"};
  co_return co_await deploy_or_plan(services, call, kFields, Operation::kDeploy);
}

// A change of mode keeps what is there; making it is what `deploy` is for.
Task<Reply> change_mode(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"mode", "queue"};
  const auto body = parse_body(call, kFields);
  if (!body) co_return std::unexpected(body.error());
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  const auto parsed = services.specs.get(*row);
  if (!parsed) co_return refuse(parsed.error());
  const std::vector<std::string> modes = (*parsed)->spec.modes();
  if (body->mode.empty() && !modes.empty()) {
    co_return refuse(422, "mode_required",
                     fmt::format("say which mode workspace {} is to be in: {}", row->name.value,
                                 join(modes, ", ")),
                     modes);
  }
  const auto mode = choose_mode(services, *row, body->mode);
  if (!mode) co_return std::unexpected(mode.error());
  if (mode->empty()) {
    co_return refuse(422, "unknown_mode",
                     fmt::format("workspace {} has no modes (mode_schedules in its config.json)",
                                 row->name.value));
  }
  if (!may_have_resources(*row)) {
    co_return refuse(409, "not_deployed",
                     fmt::format("workspace {0} is {1}: `workspace deploy {0} {2}` deploys it in "
                                 "mode {2}",
                                 row->name.value, to_string(row->status), *mode));
  }
  co_return co_await deploy_or_plan(services, call, kFields, Operation::kDeploy);
}

Task<Reply> plan_workspace(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"mode", "queue"};
  co_return co_await deploy_or_plan(services, call, kFields, Operation::kPlan);
}

Task<Reply> destroy_workspace(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"queue"};
  const auto body = parse_body(call, kFields);
  if (!body) co_return std::unexpected(body.error());
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  co_return co_await queue_destroy(services, call, *row, body->when_busy);
}

// Agrees to what the last plan showed, so it is that definition which is deployed, even if the
// folder says something else meanwhile.
Task<Reply> confirm_workspace(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"queue"};
  const auto body = parse_body(call, kFields);
  if (!body) co_return std::unexpected(body.error());
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  if (row->status != WorkspaceStatus::kNeedsConfirmation) {
    co_return refuse(409, "nothing_to_confirm",
                     fmt::format("workspace {} is {}: nothing waits for a confirmation",
                                 row->name.value, to_string(row->status)));
  }
  NewRun run{.workspace = row->name,
             .operation = Operation::kDeploy,
             .mode = row->deployed_mode,
             .definition = row->deployed.value_or(row->current),
             .confirmed = true};
  const auto queued = co_await enqueue(services, call, std::move(run), body->when_busy);
  if (!queued) co_return std::unexpected(queued.error());
  co_return accepted(*queued);
}

}  // namespace provisioner::server
