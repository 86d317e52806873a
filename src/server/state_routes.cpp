#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "server/body.hpp"
#include "server/replies.hpp"
#include "tofu/state_body.hpp"

namespace provisioner::server {
namespace {

constexpr std::size_t kMostStateBytes = 64 * 1024 * 1024;

StateSlot slot_of(const Workspace& row) { return {.workspace = row.name, .job = ""}; }

std::unexpected<Problem> no_state(const Workspace& row) {
  return refuse(404, "state_not_found",
                fmt::format("workspace {} has no state yet", row.name.value));
}

Task<std::expected<StateVersion, Problem>> current_state(Services& services, const Workspace& row) {
  auto current = co_await services.parts.store.current_state(slot_of(row));
  if (!current) co_return refuse(current.error());
  if (!*current) co_return no_state(row);
  co_return std::move(**current);
}

Task<std::expected<std::string, Problem>> body_of(Services& services, const Workspace& row,
                                                  std::int64_t number) {
  auto body = co_await services.parts.store.state_body(slot_of(row), number);
  if (body) co_return std::move(*body);
  Problem problem = problem_of(body.error());
  if (problem.status == 404) problem.code = "state_not_found";
  co_return std::unexpected(std::move(problem));
}

std::expected<std::int64_t, Problem> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1) {
    return refuse(422, "invalid_request",
                  fmt::format("\"{}\" is no version: expected a number, or current", text));
  }
  return number;
}

// A person's write must not slip under a run that has read the state already.
Task<std::expected<void, Problem>> check_idle(Services& services, const Workspace& row) {
  const auto running = co_await services.parts.store.runs(
      {.workspace = row.name, .statuses = {RunStatus::kRunning}, .limit = 1});
  if (!running) co_return refuse(running.error());
  if (!running->empty()) {
    co_return refuse(409, "workspace_busy",
                     fmt::format("run {} of workspace {} is active: wait for it or cancel it",
                                 running->front().id.value, row.name.value));
  }
  co_return std::expected<void, Problem>();
}

using Masking = std::function<std::string(std::string)>;

// Only values: a secret that happens to be the name of a field is no reason to break the document.
void mask_values(nlohmann::ordered_json& json, const Masking& masking) {
  if (json.is_string()) {
    json = masking(json.get<std::string>());
  } else if (json.is_structured()) {
    for (auto& value : json) mask_values(value, masking);
  }
}

// Without what tofu calls sensitive, and without the workspace's secrets. Null when it is no state.
Task<std::expected<nlohmann::ordered_json, Problem>> state_for_people(Services& services,
                                                                      Workspace row,
                                                                      const std::string& body) {
  const auto masked = tofu::masked_state_text(body);
  if (!masked) co_return refuse(masked.error());
  auto state = nlohmann::ordered_json::parse(*masked, nullptr, false);
  if (state.is_discarded()) state = nullptr;
  mask_values(state, co_await services.parts.masking(std::move(row)));
  co_return state;
}

Task<Reply> write_version(Services& services, const Workspace& row, StateMeta meta,
                          std::string body, std::string actor) {
  const auto written = co_await services.parts.store.push_state(
      slot_of(row), std::move(meta), std::move(body), std::move(actor), services.now());
  if (!written) {
    Problem problem = problem_of(written.error());
    if (problem.status == 409) problem.code = "state_locked";
    co_return std::unexpected(std::move(problem));
  }
  co_return http::json_response(200, render(*written, !written->divergent) + "\n");
}

}  // namespace

Task<Reply> list_states(Services& services, Call call) {
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  const auto versions = co_await services.parts.store.state_versions(slot_of(*row));
  if (!versions) co_return refuse(versions.error());
  const auto current = co_await services.parts.store.current_state(slot_of(*row));
  if (!current) co_return refuse(current.error());
  std::vector<std::string> items;
  for (const StateVersion& version : *versions) {
    items.push_back(render(version, *current && (*current)->number == version.number));
  }
  co_return http::json_response(200, render_list(items));
}

Task<Reply> show_state(Services& services, Call call) {
  const bool raw = query_flag(call.request, "raw");
  if (raw && call.caller.role < Role::kAdmin) {
    co_return refuse(403, "forbidden", "a state holds secrets: only an admin reads it unmasked");
  }
  // Even with a role that would do: what crosses a network in the clear is no secret any more.
  if (raw && !call.caller.is_private) {
    co_return refuse(403, "forbidden",
                     "unmasked states are given over https or the unix socket only");
  }
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  std::int64_t number = 0;
  if (call.params[1] == "current") {
    const auto current = co_await current_state(services, *row);
    if (!current) co_return std::unexpected(current.error());
    number = current->number;
  } else {
    const auto parsed = parse_number(call.params[1]);
    if (!parsed) co_return std::unexpected(parsed.error());
    number = *parsed;
  }
  auto body = co_await body_of(services, *row, number);
  if (!body) co_return std::unexpected(body.error());
  if (raw) {
    co_await services.parts.store.audit({.at = services.now(),
                                         .actor = call.caller.actor,
                                         .action = "state.read",
                                         .target = fmt::format("{} {}", row->name.value, number),
                                         .outcome = "accepted"});
    co_return http::json_response(200, std::move(*body));
  }
  const auto shown = co_await state_for_people(services, *row, *body);
  if (!shown) co_return std::unexpected(shown.error());
  co_return http::json_response(
      200, shown->dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

Task<Reply> diff_states(Services& services, Call call) {
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  const auto from = query_number(call.request, "from", 0, INT64_MAX, 0);
  if (!from) co_return std::unexpected(from.error());
  auto to = query_number(call.request, "to", 0, INT64_MAX, -1);
  if (!to) co_return std::unexpected(to.error());
  if (*to < 0) {
    const auto current = co_await current_state(services, *row);
    if (!current) co_return std::unexpected(current.error());
    *to = current->number;
  }
  // Version 0 is the empty state before the first.
  std::string bodies[2];
  const std::int64_t numbers[2] = {*from, *to};
  for (std::size_t i = 0; i < 2; ++i) {
    if (numbers[i] == 0) continue;
    auto body = co_await body_of(services, *row, numbers[i]);
    if (!body) co_return std::unexpected(body.error());
    bodies[i] = std::move(*body);
  }
  const auto lines = tofu::state_diff(bodies[0], bodies[1]);
  if (!lines) co_return refuse(lines.error());
  std::string text;
  for (const auto& line : *lines) text += line + "\n";
  const Masking masking = co_await services.parts.masking(*row);
  co_return http::text_response(200, masking(std::move(text)));
}

Task<Reply> roll_back_state(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"to"};
  const auto body = CommandBody::parse(call.request, kFields);
  if (!body) co_return std::unexpected(body.error());
  const auto to = body->integer("to");
  if (!to) co_return std::unexpected(to.error());
  if (!*to || **to < 1) co_return refuse(422, "invalid_request", "to: which version?");
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  if (const auto idle = co_await check_idle(services, *row); !idle) {
    co_return std::unexpected(idle.error());
  }
  const auto current = co_await current_state(services, *row);
  if (!current) co_return std::unexpected(current.error());
  const auto old = co_await body_of(services, *row, **to);
  if (!old) co_return std::unexpected(old.error());
  auto renewed = tofu::with_serial(*old, current->meta.serial + 1);
  if (!renewed) co_return refuse(renewed.error());
  auto meta = tofu::parse_state(*renewed);
  if (!meta) co_return refuse(meta.error());
  co_return co_await write_version(services, *row, std::move(*meta), std::move(*renewed),
                                   fmt::format("{} (rollback to {})", call.caller.actor, **to));
}

Task<Reply> push_state(Services& services, Call call) {
  if (call.request.body.size() > kMostStateBytes) {
    co_return refuse(413, "body_too_long",
                     fmt::format("the state is longer than {} bytes", kMostStateBytes));
  }
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  std::string body = std::move(call.request.body);
  auto meta = tofu::parse_state(body);
  if (!meta) co_return refuse(422, "not_a_state", meta.error().message);
  if (const auto idle = co_await check_idle(services, *row); !idle) {
    co_return std::unexpected(idle.error());
  }
  const auto current = co_await services.parts.store.current_state(slot_of(*row));
  if (!current) co_return refuse(current.error());
  if (*current) {
    const StateMeta& present = (*current)->meta;
    const bool force = query_flag(call.request, "force");
    if (!force && present.lineage != meta->lineage) {
      co_return refuse(409, "other_lineage",
                       fmt::format("this state (lineage {}) is not one of workspace {} (lineage "
                                   "{}); --force (force=true) replaces it nevertheless",
                                   meta->lineage, row->name.value, present.lineage));
    }
    const bool identical = meta->sha256 == present.sha256;
    if (!force && !identical && meta->serial <= present.serial) {
      co_return refuse(409, "older_state",
                       fmt::format("this state has serial {}, the current one {}; --force "
                                   "(force=true) writes it under the next serial",
                                   meta->serial, present.serial));
    }
    if (force && meta->serial <= present.serial) {
      auto renewed = tofu::with_serial(body, present.serial + 1);
      if (!renewed) co_return refuse(renewed.error());
      body = std::move(*renewed);
      meta = tofu::parse_state(body);
      if (!meta) co_return refuse(meta.error());
    }
  }
  co_return co_await write_version(services, *row, std::move(*meta), std::move(body),
                                   call.caller.actor + " (push)");
}

Task<Reply> unlock_state(Services& services, Call call) {
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  if (!query_flag(call.request, "force")) {
    if (const auto idle = co_await check_idle(services, *row); !idle) {
      Problem problem = idle.error();
      problem.detail +=
          "; --force (force=true) releases the lock nevertheless, and its run will fail";
      co_return std::unexpected(std::move(problem));
    }
  }
  const auto released = co_await services.parts.store.force_unlock(slot_of(*row));
  if (!released) co_return refuse(released.error());
  nlohmann::ordered_json json = {{"id", nullptr}, {"run", nullptr}, {"created_at", nullptr}};
  if (*released) {
    json["id"] = (*released)->id;
    if ((*released)->run) json["run"] = (*released)->run->value;
    json["created_at"] = format_rfc3339((*released)->created_at);
  }
  co_return http::json_response(
      200, json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

Task<Reply> show_outputs(Services& services, Call call) {
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  const auto current = co_await services.parts.store.current_state(slot_of(*row));
  if (!current) co_return refuse(current.error());
  nlohmann::ordered_json outputs = nlohmann::ordered_json::object();
  if (*current) {
    const auto body = co_await body_of(services, *row, (*current)->number);
    if (!body) co_return std::unexpected(body.error());
    const auto state = co_await state_for_people(services, *row, *body);
    if (!state) co_return std::unexpected(state.error());
    if (state->is_object() && state->contains("outputs")) {
      for (const auto& [name, output] : (*state)["outputs"].items()) {
        const bool sensitive = output.value("sensitive", false);
        outputs[name] = {
            {"value", sensitive ? nullptr : output.value("value", nlohmann::ordered_json())},
            {"type", output.value("type", nlohmann::ordered_json())},
            {"sensitive", sensitive}};
      }
    }
  }
  co_return http::json_response(
      200, outputs.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace provisioner::server
