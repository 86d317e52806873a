// What a person's tofu works with: a workspace's definition and content, and the state backend.
// docs/openapi.json cannot describe LOCK and UNLOCK, so they are POSTs here.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "execution/store_state_backend.hpp"
#include "server/replies.hpp"

namespace provisioner::server {
namespace {

// Even with a role that would do: what crosses a network in the clear is no secret any more.
Task<std::expected<Workspace, Problem>> find_here(Services& services, const Call& call) {
  if (!call.caller.is_private) {
    co_return refuse(
        403, "forbidden",
        "tofu is run by hand over https or the unix socket only: its state would cross "
        "the network in the clear");
  }
  co_return co_await find_workspace(services, call);
}

// What may exist was made from the definition of the last deploy, not from what the folder says by
// now.
const Definition& definition_of(const Workspace& row) {
  return row.deployed ? *row.deployed : row.current;
}

Task<> note_look(Services& services, const Call& call, std::string action) {
  const Status noted = co_await services.parts.store.audit({.at = services.now(),
                                                            .actor = call.caller.actor,
                                                            .action = action,
                                                            .target = call.params[0],
                                                            .outcome = "accepted"});
  if (!noted) {
    services.parts.log.warning(
        fmt::format("not audited ({}): {} by {} on {}", noted.error().message, action,
                    call.caller.actor, call.params[0]),
        {{"correlation_id", call.correlation.value}});
  }
}

// tofu's words in, the API's words out.
Task<Reply> converse(Services& services, const Workspace& row, Call call, std::string method) {
  execution::StoreStateBackend backend(services.parts.store, services.parts.clock,
                                       StateSlot{row.name, ""}, std::nullopt, call.caller.actor);
  tofu::StateRequest asked{std::move(method), call.request.query("ID").value_or(""),
                           call.request.header("Content-MD5"), std::move(call.request.body)};
  const tofu::Patience patience = tofu::Patience::kAskAgain;
  tofu::StateReply said = co_await tofu::answer_state_request(backend, std::move(asked), patience);
  if (said.status >= 400 && said.status != 423) {
    co_return refuse(said.status, said.status == 503 ? "store_unavailable" : "state_refused",
                     std::string(trim(said.body)));
  }
  http::Response response;
  response.status = said.status;
  if (!said.content_type.empty()) response.headers["Content-Type"] = said.content_type;
  response.body = std::move(said.body);
  co_return response;
}

// The lock of a run that is active and holds none at the moment, e.g. between its plan and its
// apply: whoever locks then would make it fail.
http::Response locked_by(const Run& run) {
  const nlohmann::ordered_json lock = {
      {"ID", run.id.value},
      {"Operation", to_string(run.operation)},
      {"Info", "wait for this run, or cancel it"},
      {"Who", fmt::format("run {}", run.id.value)},
      {"Version", ""},
      {"Created", format_rfc3339(run.started_at.value_or(run.created_at))},
      {"Path", run.workspace.value}};
  return http::json_response(423, lock.dump());
}

}  // namespace

Task<Reply> show_definition(Services& services, Call call) {
  const auto row = co_await find_here(services, call);
  if (!row) co_return std::unexpected(row.error());
  const auto lock_file = co_await services.parts.store.lock_file(row->name);
  if (!lock_file) co_return refuse(lock_file.error());
  nlohmann::ordered_json json = {{"workspace", row->name.value},
                                 {"config", definition_of(*row).config},
                                 {"bundle", definition_of(*row).bundle.value},
                                 {"deployed", row->deployed.has_value()},
                                 {"mode", row->deployed ? row->deployed_mode : ""},
                                 {"lock_file", *lock_file}};
  co_await note_look(services, call, "workspace.definition");
  co_return http::json_response(
      200, json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

Task<Reply> show_bundle(Services& services, Call call) {
  const auto row = co_await find_here(services, call);
  if (!row) co_return std::unexpected(row.error());
  // A deploy between the two requests must not give the content of another definition.
  BundleHash hash = definition_of(*row).bundle;
  if (const auto asked = call.request.query("hash"); asked && *asked != hash.value) {
    if (*asked != row->current.bundle.value) {
      co_return refuse(
          409, "bundle_replaced",
          fmt::format("workspace {} has changed meanwhile: begin anew", row->name.value));
    }
    hash = row->current.bundle;
  }
  auto bytes = co_await services.parts.store.bundle(hash);
  if (!bytes) co_return refuse(bytes.error());
  co_await note_look(services, call, "workspace.bundle");
  http::Response response;
  response.headers["Content-Type"] = "application/x-tar";
  response.body = std::move(*bytes);
  co_return response;
}

Task<Reply> read_backend(Services& services, Call call) {
  const auto row = co_await find_here(services, call);
  if (!row) co_return std::unexpected(row.error());
  co_await note_look(services, call, "backend.read");
  co_return co_await converse(services, *row, std::move(call), "GET");
}

Task<Reply> write_backend(Services& services, Call call) {
  const auto row = co_await find_here(services, call);
  if (!row) co_return std::unexpected(row.error());
  if (call.request.query("ID").value_or("").empty()) {
    co_return refuse(409, "not_locked",
                     "a state is written under its lock only: leave out -lock=false");
  }
  co_return co_await converse(services, *row, std::move(call), "POST");
}

Task<Reply> lock_backend(Services& services, Call call) {
  const auto row = co_await find_here(services, call);
  if (!row) co_return std::unexpected(row.error());
  const auto running = co_await services.parts.store.runs(
      {.workspace = row->name, .statuses = {RunStatus::kRunning}, .limit = 1});
  if (!running) co_return refuse(running.error());
  const auto held = co_await services.parts.store.state_lock(StateSlot{row->name, ""});
  if (!held) co_return refuse(held.error());
  if (!running->empty() && !*held) co_return locked_by(running->front());
  co_return co_await converse(services, *row, std::move(call), "LOCK");
}

Task<Reply> unlock_backend(Services& services, Call call) {
  const auto row = co_await find_here(services, call);
  if (!row) co_return std::unexpected(row.error());
  co_return co_await converse(services, *row, std::move(call), "UNLOCK");
}

}  // namespace provisioner::server
