#include <fmt/format.h>

#include <array>
#include <optional>

#include "server/body.hpp"
#include "server/replies.hpp"

namespace provisioner::server {
namespace {

std::unexpected<Problem> refuse_template(const TemplateFailure& failure) {
  Problem problem = problem_of(failure.error);
  const ErrorKind kind = failure.error.kind;
  if (!failure.of_source) {
    if (kind == ErrorKind::kConflict) problem.code = "template_exists";
    if (kind == ErrorKind::kNotFound) problem.code = "template_not_found";
  } else if (kind == ErrorKind::kUnavailable || kind == ErrorKind::kTimeout) {
    // The daemon is well, and the store: nobody is to try another instance.
    problem.status = 502;
    problem.code = "source_unreachable";
  } else if (kind == ErrorKind::kDenied || kind == ErrorKind::kInvalid ||
             kind == ErrorKind::kNotFound) {
    problem.status = 422;
    problem.code = kind == ErrorKind::kDenied ? "source_denied" : "source_refused";
  }
  return std::unexpected(std::move(problem));
}

std::expected<TemplateName, Problem> name_in(const Call& call) {
  auto name = parse_template_name(call.params[0]);
  if (!name) return refuse(name.error());
  return *std::move(name);
}

Task<std::expected<Template, Problem>> find_template(Services& services, const Call& call) {
  auto row = co_await services.parts.store.template_named(TemplateName(call.params[0]));
  if (!row) co_return refuse_template({.error = row.error()});
  co_return *std::move(row);
}

// `value` is a row, or what came of an update of one.
template <typename T>
Task<Reply> reply(Services& services, const Call& call, int status, const T& value,
                  const Template& row) {
  const auto workspaces = co_await services.parts.store.workspaces();
  if (!workspaces) co_return refuse(workspaces.error());
  http::Response response = http::json_response(
      status, render(value, visible_users(row, *workspaces, call.caller.scope)) + "\n");
  response.headers["ETag"] = fmt::format("\"{}\"", row.version.value);
  co_return response;
}

Task<Reply> reply_update(Services& services, const Call& call,
                         const TemplateRegistry::Outcome<TemplateUpdate>& update) {
  if (!update) co_return refuse_template(update.error());
  co_return co_await reply(services, call, 200, *update, update->row);
}

}  // namespace

std::vector<TemplateUser> visible_users(const Template& row,
                                        const std::vector<Workspace>& workspaces,
                                        const WorkspaceScope& scope) {
  auto users = users_of(row, workspaces);
  std::erase_if(users, [&](const TemplateUser& user) { return !scope.contains(user.workspace); });
  return users;
}

Task<Reply> list_templates(Services& services, Call call) {
  const auto templates = co_await services.parts.store.templates();
  if (!templates) co_return refuse(templates.error());
  const auto workspaces = co_await services.parts.store.workspaces();
  if (!workspaces) co_return refuse(workspaces.error());
  std::vector<std::string> items;
  for (const Template& row : *templates) {
    items.push_back(render(row, visible_users(row, *workspaces, call.caller.scope)));
  }
  co_return http::json_response(200, render_list(items));
}

Task<Reply> show_template(Services& services, Call call) {
  const auto row = co_await find_template(services, call);
  if (!row) co_return std::unexpected(row.error());
  co_return co_await reply(services, call, 200, *row, *row);
}

Task<Reply> add_template(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"url", "path", "ref", "description"};
  const auto name = name_in(call);
  if (!name) co_return std::unexpected(name.error());
  const auto body = CommandBody::parse(call.request, kFields);
  if (!body) co_return std::unexpected(body.error());
  std::array<std::string, 4> values;
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto text = body->text(kFields[i]);
    if (!text) co_return std::unexpected(text.error());
    values[i] = *std::move(text);
  }
  const auto added = co_await services.parts.templates.add(
      *name, {.url = values[0], .path = values[1], .ref = values[2]}, values[3]);
  if (!added) co_return refuse_template(added.error());
  co_return co_await reply(services, call, 201, *added, *added);
}

// Only what is named becomes another; "" is a value, as it is for a path or a ref.
Task<Reply> change_template(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"url", "path", "ref", "description"};
  const auto body = CommandBody::parse(call.request, kFields);
  if (!body) co_return std::unexpected(body.error());
  TemplateChanges changes;
  const std::array<std::optional<std::string>*, 4> places = {&changes.url, &changes.path,
                                                             &changes.ref, &changes.description};
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (!body->has(kFields[i])) continue;
    auto text = body->text(kFields[i]);
    if (!text) co_return std::unexpected(text.error());
    *places[i] = *std::move(text);
  }
  co_return co_await reply_update(
      services, call,
      co_await services.parts.templates.update(TemplateName(call.params[0]), std::move(changes)));
}

Task<Reply> update_template(Services& services, Call call) {
  co_return co_await reply_update(
      services, call, co_await services.parts.templates.update(TemplateName(call.params[0]), {}));
}

Task<Reply> validate_template(Services& services, Call call) {
  const auto verdict = co_await services.parts.templates.validate(TemplateName(call.params[0]));
  if (!verdict) co_return refuse_template(verdict.error());
  co_return http::json_response(200, render(*verdict) + "\n");
}

Task<Reply> remove_template(Services& services, Call call) {
  const auto row = co_await find_template(services, call);
  if (!row) co_return std::unexpected(row.error());
  const auto workspaces = co_await services.parts.store.workspaces();
  if (!workspaces) co_return refuse(workspaces.error());
  const auto users = users_of(*row, *workspaces);
  if (!users.empty() && !query_flag(call.request, "force")) {
    std::vector<std::string> names;
    for (const TemplateUser& user : users) names.push_back(shown(user));
    co_return refuse(409, "template_in_use",
                     fmt::format("template {} is used by {}: let them name another one first, or "
                                 "remove it by force: they keep the content that they have",
                                 row->name.value, fmt::join(names, ", ")),
                     names);
  }
  const Status removed = co_await services.parts.store.remove_template(row->name);
  if (!removed) co_return refuse_template({.error = removed.error()});
  co_return co_await reply(services, call, 200, *row, *row);
}

}  // namespace provisioner::server
