#include "server/render.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace provisioner::server {
namespace {

using Json = nlohmann::ordered_json;

std::string text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json or_null(const std::string& value) { return value.empty() ? Json() : Json(value); }

template <typename Tag>
Json or_null(const StrongString<Tag>& value) {
  return or_null(value.value);
}

Json or_null(const std::optional<Instant>& at) { return at ? Json(format_rfc3339(*at)) : Json(); }

template <typename Tag>
Json or_null(const std::optional<StrongString<Tag>>& value) {
  return value ? Json(value->value) : Json();
}

// The error of what the workspace tried last.
const std::string& last_error(const Workspace& w) {
  const bool destroys =
      w.status == WorkspaceStatus::kDestroying || w.status == WorkspaceStatus::kDestroyFailed;
  return destroys ? w.last_destroy_error : w.last_deploy_error;
}

Json stored_config(const std::string& normalised) {
  if (normalised.empty()) return {};
  Json parsed = Json::parse(normalised, nullptr, false);
  return parsed.is_discarded() ? Json(normalised) : parsed;
}

std::string joined(const std::vector<std::string>& items) {
  std::size_t size = 2;
  for (const auto& item : items) size += item.size() + 1;
  std::string all;
  all.reserve(size);
  all.push_back('[');
  for (const auto& item : items) {
    if (all.size() > 1) all.push_back(',');
    all.append(item);
  }
  all.push_back(']');
  return all;
}

Json json_of(const Run& run) {
  return {{"id", run.id.value},
          {"workspace", shown_workspace(run.workspace)},
          {"job", or_null(run.job)},
          {"operation", to_string(run.operation)},
          {"mode", or_null(run.mode)},
          {"trigger", to_string(run.trigger)},
          {"scheduled_for", or_null(run.scheduled_for)},
          {"requested_by", or_null(run.requested_by)},
          {"correlation_id", or_null(run.correlation_id)},
          {"waiting_for", or_null(run.waiting_for)},
          {"not_before", or_null(run.not_before)},
          {"status", to_string(run.status)},
          {"cancel_requested", run.cancel_requested},
          {"attempt", run.attempt.value},
          {"retries", run.retries},
          {"instance", or_null(run.instance)},
          {"term", run.attempt.value == 0 ? Json() : Json(run.term.value)},
          {"created_at", format_rfc3339(run.created_at)},
          {"started_at", or_null(run.started_at)},
          {"finished_at", or_null(run.finished_at)},
          {"exit_code", run.exit_code ? Json(*run.exit_code) : Json()},
          {"error", or_null(run.error)},
          {"bundle", or_null(run.definition.bundle)},
          {"resources",
           {{"add", run.resources.add},
            {"change", run.resources.change},
            {"destroy", run.resources.destroy}}}};
}

}  // namespace

std::string render(const WorkspaceView& view) {
  const Workspace& w = view.row;
  Json next;
  if (view.next) {
    next = {{"at", format_rfc3339(view.next->at)},
            {"action", to_string(view.next->action)},
            {"mode", or_null(view.next->mode)}};
  }
  return text({{"name", w.name.value},
               {"enabled", w.enabled},
               {"status", to_string(w.status)},
               {"held", view.is_held},
               {"detached", w.detached},
               {"mode", or_null(w.mode)},
               {"template", or_null(w.template_name)},
               {"description", or_null(w.description)},
               {"deployed_bundle", w.deployed ? or_null(w.deployed->bundle) : Json()},
               {"bundle", or_null(w.current.bundle)},
               {"last_deployed", or_null(w.last_deployed)},
               {"last_destroyed", or_null(w.last_destroyed)},
               {"last_error", or_null(last_error(w))},
               {"active_run", or_null(view.active_run)},
               {"next", next},
               {"hold_until", view.is_held ? or_null(w.hold_until) : Json()},
               {"hold_reason", view.is_held ? or_null(w.hold_reason) : Json()},
               {"ttl_expires_at", or_null(w.ttl_expires_at)},
               {"retry_at", or_null(w.retry_at)},
               {"modes", view.modes},
               {"depends_on", view.depends_on},
               {"config_error", or_null(view.config_error)},
               {"created_at", format_rfc3339(w.created_at)},
               {"updated_at", format_rfc3339(w.updated_at)},
               {"version", w.version.value}});
}

std::string render(const JobView& view) {
  const Job& row = view.row;
  Json schedule = Json::array(), depends_on = Json::array(), events = Json::array();
  for (const JobEvent event : row.events) events.push_back(to_string(event));
  if (view.spec) {
    for (const TimelineRule& rule : view.spec->rules) schedule.push_back(rule.cron.text());
    for (const JobName& name : view.spec->depends_on) depends_on.push_back(name.value);
  }
  for (const Json& event : events) schedule.push_back(event);
  return text({{"workspace", shown_workspace(row.workspace)},
               {"name", row.name.value},
               {"type", to_string(row.type)},
               {"status", to_string(row.status)},
               {"enabled", row.enabled},
               {"schedule", std::move(schedule)},
               {"depends_on", std::move(depends_on)},
               {"description", or_null(view.spec ? view.spec->description : "")},
               {"events", std::move(events)},
               {"last_run", or_null(row.last_run)},
               {"last_success", or_null(row.last_success)},
               {"last_failure", or_null(row.last_failure)},
               {"last_error", or_null(row.last_error)},
               {"last_exit_code", row.last_exit_code ? Json(*row.last_exit_code) : Json()},
               {"run_count", row.run_count},
               {"success_count", row.success_count},
               {"failure_count", row.failure_count},
               {"next_run", or_null(view.next_run)}});
}

std::string render(const Run& run) { return text(json_of(run)); }

std::string render(const Run& run, std::span<const AttemptRow> attempts) {
  Json json = json_of(run);
  Json& list = json["attempts"] = Json::array();
  for (const AttemptRow& row : attempts) {
    list.push_back({{"attempt", row.attempt.value},
                    {"status", to_string(row.status)},
                    {"instance", row.instance.value},
                    {"started_at", format_rfc3339(row.started_at)},
                    {"finished_at", or_null(row.finished_at)},
                    {"error", or_null(row.error)}});
  }
  return text(json);
}

std::string render(const Occurrence& occurrence) {
  return text({{"workspace", shown_workspace(occurrence.workspace)},
               {"job", or_null(occurrence.job)},
               {"schedule", occurrence.schedule},
               {"at", format_rfc3339(occurrence.at)},
               {"until", format_rfc3339(occurrence.until)},
               {"count", occurrence.count},
               {"local_time", occurrence.local_time},
               {"action", to_string(occurrence.action)},
               {"mode", or_null(occurrence.mode)},
               {"outcome", to_string(occurrence.outcome)},
               {"reason", occurrence.reason},
               {"run", or_null(occurrence.run)}});
}

std::string render(const PreviewPoint& point) {
  return text({{"at", format_rfc3339(point.at)},
               {"local_time", point.local_time},
               {"timezone", point.timezone},
               {"action", to_string(point.action)},
               {"mode", or_null(point.mode)},
               {"schedule", point.schedule},
               {"overruled", point.overruled},
               {"job", or_null(point.job)}});
}

std::string render(const ConfigChange& change) {
  return text({{"workspace", change.workspace.value},
               {"change", change.change_type},
               {"old_config", stored_config(change.old_config)},
               {"new_config", stored_config(change.new_config)},
               {"changed_by", change.changed_by},
               {"changed_at", format_rfc3339(change.changed_at)}});
}

std::string render(const StateVersion& version, bool is_current) {
  return text({{"number", version.number},
               {"current", is_current},
               {"divergent", version.divergent},
               {"lineage", version.meta.lineage},
               {"serial", version.meta.serial},
               {"sha256", version.meta.sha256},
               {"resources", version.meta.resources},
               {"run", or_null(version.run)},
               {"attempt", version.run ? Json(version.attempt.value) : Json()},
               {"written_by", version.written_by},
               {"at", format_rfc3339(version.at)}});
}

std::string render(const ClusterView& cluster) {
  Json instances = Json::array();
  for (const InstanceView& instance : cluster.instances) {
    instances.push_back({{"id", instance.row.id.value},
                         {"version", instance.row.version},
                         {"role", instance.role},
                         {"ready", instance.ready},
                         {"draining", instance.row.draining},
                         {"started_at", format_rfc3339(instance.row.started_at)},
                         {"last_seen", format_rfc3339(instance.row.last_seen)},
                         {"running", instance.running}});
  }
  Json disagreements = Json::array();
  for (const Disagreement& d : cluster.disagreements) {
    disagreements.push_back({{"workspace", d.workspace.value},
                             {"instance", d.instance.value},
                             {"difference", d.difference},
                             {"reported_at", format_rfc3339(d.reported_at)}});
  }
  return text({{"leader", or_null(cluster.leadership.leader)},
               {"term", cluster.leadership.fence.term.value},
               {"lease_expires_at", or_null(cluster.lease_expires_at)},
               {"instances", instances},
               {"store", cluster.store},
               {"election", cluster.election},
               {"election_problem", or_null(cluster.election_problem)},
               {"cache", nullptr},
               {"disagreements", disagreements}});
}

std::string render_instance(const Instance& instance) {
  return text({{"id", instance.id.value},
               {"version", instance.version},
               {"draining", instance.draining},
               {"started_at", format_rfc3339(instance.started_at)},
               {"last_seen", format_rfc3339(instance.last_seen)}});
}

std::string render_cluster_event(const AuditEvent& event) {
  return text({{"at", format_rfc3339(event.at)},
               {"actor", event.actor},
               {"action", event.action},
               {"target", event.target},
               {"outcome", event.outcome}});
}

std::string render_leadership(const Leadership& leadership, const InstanceId& self, bool leads) {
  const bool anybody = !leadership.leader.empty();
  return text({{"leader", or_null(leadership.leader)},
               {"term", leadership.fence.term.value},
               {"claimed_at", anybody ? Json(format_rfc3339(leadership.claimed_at)) : Json()},
               {"instance", self.value},
               {"leads", leads}});
}

std::string render_problem(const std::string& folder, const std::string& message) {
  return text({{"folder", folder}, {"message", message}});
}

namespace {

Json json_of(const ApiToken& token, Instant now) {
  return {{"id", token.id.value},
          {"name", token.name},
          {"role", to_string(token.role)},
          {"workspaces", token.scope.is_everything() ? Json() : Json(token.scope.patterns)},
          {"status", token.revoked_at         ? "revoked"
                     : is_expired(token, now) ? "expired"
                                              : "active"},
          {"created_by", token.created_by},
          {"created_at", format_rfc3339(token.created_at)},
          {"expires_at", or_null(token.expires_at)},
          {"last_used_at", or_null(token.last_used_at)},
          {"revoked_at", or_null(token.revoked_at)},
          {"revoked_by", or_null(token.revoked_by)}};
}

}  // namespace

std::string render(const ApiToken& token, Instant now) { return text(json_of(token, now)); }

std::string render(const ApiToken& token, Instant now, const std::string& secret) {
  Json json = json_of(token, now);
  json["token"] = secret;
  return text(json);
}

namespace {

Json json_of(const Template& row, const std::vector<TemplateUser>& users) {
  Json used_by = Json::array();
  for (const TemplateUser& user : users) {
    used_by.push_back({{"workspace", user.workspace.value},
                       {"job", or_null(user.job)},
                       {"current", user.is_current}});
  }
  return {{"name", row.name.value},
          {"source_url", row.source.url},
          {"source_path", or_null(row.source.path)},
          {"source_ref", or_null(row.source.ref)},
          {"description", row.description},
          {"commit", or_null(row.commit)},
          {"content_hash", row.bundle.value},
          {"created_at", format_rfc3339(row.created_at)},
          {"updated_at", format_rfc3339(row.updated_at)},
          {"version", row.version.value},
          {"used_by", std::move(used_by)}};
}

}  // namespace

std::string render(const Template& row, const std::vector<TemplateUser>& users) {
  return text(json_of(row, users));
}

std::string render(const TemplateUpdate& update, const std::vector<TemplateUser>& users) {
  Json json = json_of(update.row, users);
  json["content_changed"] = update.content_changed;
  return text(json);
}

std::string render(const TemplateVerdict& verdict) {
  return text({{"name", verdict.row.name.value},
               {"valid", verdict.problem.empty()},
               {"problem", or_null(verdict.problem)},
               {"commit", or_null(verdict.commit)},
               {"newer_content", verdict.is_newer}});
}

std::string render_list(const std::vector<std::string>& items,
                        const std::optional<std::string>& next_cursor) {
  return fmt::format("{{\"items\":{},\"next_cursor\":{}}}\n", joined(items),
                     next_cursor ? text(Json(*next_cursor)) : "null");
}

std::string render_array(const std::vector<std::string>& items) { return joined(items) + "\n"; }

}  // namespace provisioner::server
