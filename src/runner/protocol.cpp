#include "runner/protocol.hpp"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace provisioner::runner {
namespace {

using nlohmann::json;

constexpr std::string_view kBearer = "Bearer ";

// Reads typed fields out of an object and remembers the first thing that was wrong.
class Fields {
 public:
  Fields(std::string_view what, std::string_view text)
      : what_(what), object_(json::parse(text, nullptr, false)) {
    if (object_.is_discarded() || !object_.is_object()) complain("the body", "is no JSON object");
  }

  Fields(std::string_view what, json object) : what_(what), object_(std::move(object)) {
    if (!object_.is_object()) complain("the value", "is no JSON object");
  }

  void read(const char* name, bool& into) { take(name, into, &json::is_boolean); }
  void read(const char* name, std::int64_t& into) { take(name, into, &json::is_number_integer); }
  void read(const char* name, std::string& into) { take(name, into, &json::is_string); }

  void read_micros(const char* name, Duration& into) {
    std::int64_t micros = into.count();
    read(name, micros);
    into = Duration(micros);
  }

  template <typename T>
  void read(const char* name, std::optional<T>& into) {
    if (absent(name)) return;
    T value{};
    read(name, value);
    into = std::move(value);
  }

  void read(const char* name, std::vector<std::string>& into) {
    if (absent(name)) return;
    if (!object_[name].is_array()) return complain(name, "is no array");
    for (const auto& item : object_[name]) {
      if (!item.is_string()) return complain(name, "holds something that is no string");
      into.push_back(item.get<std::string>());
    }
  }

  void read(const char* name, std::map<std::string, std::string>& into) {
    if (absent(name)) return;
    if (!object_[name].is_object()) return complain(name, "is no object");
    for (const auto& [key, value] : object_[name].items()) {
      if (!value.is_string()) return complain(name, "holds something that is no string");
      into[key] = value.get<std::string>();
    }
  }

  json nested(const char* name) const { return absent(name) ? json::object() : object_[name]; }

  void require(const char* name) {
    if (absent(name)) complain(name, "is missing");
  }

  void complain(std::string_view field, std::string_view problem) {
    if (complaint_.empty()) complaint_ = fmt::format("{}: {} {}", what_, field, problem);
  }

  const std::string& complaint() const { return complaint_; }

 private:
  bool absent(const char* name) const {
    return !object_.is_object() || !object_.contains(name) || object_[name].is_null();
  }

  template <typename T>
  void take(const char* name, T& into, bool (json::*is_right)() const noexcept) {
    if (absent(name)) return;
    const json& value = object_[name];
    if (!(value.*is_right)()) return complain(name, "has the wrong type");
    into = value.get<T>();
  }

  std::string what_;
  json object_;
  std::string complaint_;
};

template <typename T>
Result<T> result_of(const Fields& fields, T value) {
  if (!fields.complaint().empty()) return fail(ErrorKind::kInvalid, fields.complaint());
  return value;
}

// Invalid UTF-8 (a command's own output in an error text) must not stop a report.
std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

template <typename T>
void put(json& object, const char* name, const std::optional<T>& value) {
  if (value) object[name] = *value;
}

json to_json(const CustomCommands& commands) {
  json object = json::object();
  put(object, "deploy_init", commands.deploy_init);
  put(object, "deploy_plan", commands.deploy_plan);
  put(object, "deploy_apply", commands.deploy_apply);
  put(object, "destroy_init", commands.destroy_init);
  put(object, "destroy_destroy", commands.destroy_destroy);
  return object;
}

CustomCommands commands_from(Fields& outer) {
  Fields fields("commands", outer.nested("commands"));
  CustomCommands commands;
  fields.read("deploy_init", commands.deploy_init);
  fields.read("deploy_plan", commands.deploy_plan);
  fields.read("deploy_apply", commands.deploy_apply);
  fields.read("destroy_init", commands.destroy_init);
  fields.read("destroy_destroy", commands.destroy_destroy);
  if (!fields.complaint().empty()) outer.complain("commands:", fields.complaint());
  return commands;
}

json to_json(const std::optional<JobWork>& job) {
  if (!job) return {};
  return {{"name", job->name.value},
          {"script", job->script},
          {"command", job->command},
          {"working_dir", job->working_dir}};
}

std::optional<JobWork> job_from(Fields& outer) {
  const json object = outer.nested("job");
  if (object.empty()) return std::nullopt;
  Fields fields("job", object);
  JobWork job;
  fields.read("name", job.name.value);
  fields.read("script", job.script);
  fields.read("command", job.command);
  fields.read("working_dir", job.working_dir);
  if (!fields.complaint().empty()) outer.complain("job:", fields.complaint());
  return job;
}

}  // namespace

std::string authorization(const AttemptFence& fence) {
  return fmt::format("{}{}.{}.{}", kBearer, fence.run.value, fence.attempt.value,
                     fence.claim.value);
}

Result<AttemptFence> parse_authorization(std::string_view header) {
  const auto wrong = [] {
    return fail(ErrorKind::kDenied,
                "the Authorization header is not Bearer <run>.<attempt>.<claim>");
  };
  if (!header.starts_with(kBearer)) return wrong();
  const auto parts = split(trim(header.substr(kBearer.size())), '.');
  if (parts.size() != 3 || parts[0].empty() || parts[2].empty()) return wrong();
  std::int64_t attempt = 0;
  const auto* end = parts[1].data() + parts[1].size();
  const auto [stopped, error] = std::from_chars(parts[1].data(), end, attempt);
  if (error != std::errc() || stopped != end || attempt < 1) return wrong();
  return AttemptFence{RunId(std::string(parts[0])), Attempt(attempt),
                      ClaimId(std::string(parts[2]))};
}

int status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid: return 400;
    case ErrorKind::kDenied: return 401;
    case ErrorKind::kNotFound: return 404;
    case ErrorKind::kConflict:
    case ErrorKind::kVersionConflict:
    case ErrorKind::kFenced: return 409;
    default: return 503;
  }
}

Problem problem_of(const Error& error) {
  return {std::string(error.kind == ErrorKind::kFenced ? kFencedCode : to_string(error.kind)),
          error.message};
}

Error error_of(int status, std::string_view body) {
  Problem problem;
  Fields fields("problem", body);
  fields.read("code", problem.code);
  fields.read("message", problem.message);
  if (problem.message.empty()) problem.message = fmt::format("the daemon answered {}", status);
  if (status == 409 && problem.code == kFencedCode) return {ErrorKind::kFenced, problem.message};
  switch (status) {
    case 400: return {ErrorKind::kInvalid, problem.message};
    case 401:
    case 403: return {ErrorKind::kDenied, problem.message};
    case 404: return {ErrorKind::kNotFound, problem.message};
    case 409:
    case 423: return {ErrorKind::kConflict, problem.message};
    default: return {ErrorKind::kUnavailable, problem.message};
  }
}

std::string encode(const Registration& registration) {
  const ProcessIdentity& process = registration.process;
  return dump({{"machine_id", process.machine_id},
               {"boot_id", process.boot_id},
               {"pid_namespace", process.pid_namespace},
               {"guard_pid", process.guard_pid},
               {"guard_start", process.guard_start},
               {"directory", process.directory}});
}

Result<Registration> decode_registration(std::string_view text) {
  Fields fields("registration", text);
  Registration registration;
  ProcessIdentity& process = registration.process;
  for (const char* name : {"boot_id", "pid_namespace", "guard_pid", "guard_start", "directory"}) {
    fields.require(name);
  }
  fields.read("machine_id", process.machine_id);
  fields.read("boot_id", process.boot_id);
  fields.read("pid_namespace", process.pid_namespace);
  fields.read("guard_pid", process.guard_pid);
  fields.read("guard_start", process.guard_start);
  fields.read("directory", process.directory);
  return result_of(fields, std::move(registration));
}

std::string encode(const Assignment& assignment) {
  return dump({{"workspace", assignment.workspace.value},
               {"operation", to_string(assignment.operation)},
               {"binary", assignment.binary},
               {"commands", to_json(assignment.commands)},
               {"job", to_json(assignment.job)},
               {"environment", assignment.environment},
               {"variables", assignment.variables},
               {"masks", assignment.masks},
               {"needs_agreement", assignment.needs_agreement},
               {"upgrade", assignment.upgrade},
               {"own_backend", assignment.own_backend},
               {"init_fingerprint", assignment.init_fingerprint},
               {"binary_directory", assignment.binary_directory},
               {"cache_directory", assignment.cache_directory},
               {"plugin_cache_directory", assignment.plugin_cache_directory},
               {"timeout_us", assignment.timeout.count()},
               {"lease_us", assignment.lease.count()},
               {"margin_us", assignment.margin.count()},
               {"heartbeat_us", assignment.heartbeat.count()},
               {"stop_allowance_us", assignment.stop_allowance.count()},
               {"log_limit", assignment.log_limit}});
}

Result<Assignment> decode_assignment(std::string_view text) {
  Fields fields("assignment", text);
  Assignment assignment;
  for (const char* name : {"workspace", "operation", "binary"}) fields.require(name);
  std::string operation = "deploy";
  fields.read("workspace", assignment.workspace.value);
  fields.read("operation", operation);
  fields.read("binary", assignment.binary);
  assignment.commands = commands_from(fields);
  assignment.job = job_from(fields);
  fields.read("environment", assignment.environment);
  fields.read("variables", assignment.variables);
  fields.read("masks", assignment.masks);
  fields.read("needs_agreement", assignment.needs_agreement);
  fields.read("upgrade", assignment.upgrade);
  fields.read("own_backend", assignment.own_backend);
  fields.read("init_fingerprint", assignment.init_fingerprint);
  fields.read("binary_directory", assignment.binary_directory);
  fields.read("cache_directory", assignment.cache_directory);
  fields.read("plugin_cache_directory", assignment.plugin_cache_directory);
  fields.read_micros("timeout_us", assignment.timeout);
  fields.read_micros("lease_us", assignment.lease);
  fields.read_micros("margin_us", assignment.margin);
  fields.read_micros("heartbeat_us", assignment.heartbeat);
  fields.read_micros("stop_allowance_us", assignment.stop_allowance);
  fields.read("log_limit", assignment.log_limit);
  if (auto parsed = parse_operation(operation)) {
    assignment.operation = *parsed;
  } else {
    fields.complain("operation:", parsed.error().message);
  }
  return result_of(fields, std::move(assignment));
}

std::string encode(const Heartbeat& heartbeat) {
  return dump({{"cancel_requested", heartbeat.cancel_requested}});
}

Result<Heartbeat> decode_heartbeat(std::string_view text) {
  Fields fields("heartbeat", text);
  Heartbeat heartbeat;
  fields.read("cancel_requested", heartbeat.cancel_requested);
  return result_of(fields, heartbeat);
}

std::string encode(const Finish& finish) {
  const AttemptResult& result = finish.result;
  json object = {
      {"status", to_string(result.status)},  {"error", result.error},
      {"add", result.resources.add},         {"change", result.resources.change},
      {"destroy", result.resources.destroy}, {"needs_confirmation", result.needs_confirmation}};
  put(object, "exit_code", result.exit_code);
  if (result.may_pass) object["may_pass"] = true;
  if (!result.host.empty()) object["host"] = result.host;
  if (result.began_changes) object["began_changes"] = true;
  put(object, "lock_file", result.lock_file);
  if (result.ttl_expires_at) object["ttl_expires_us"] = to_micros(*result.ttl_expires_at);
  if (!finish.log.empty()) {
    object["log_offset"] = finish.log_offset;
    object["log"] = finish.log;
  }
  return dump(object);
}

Result<Finish> decode_finish(std::string_view text) {
  Fields fields("result", text);
  Finish finish;
  AttemptResult& result = finish.result;
  fields.require("status");
  std::string status = "failed";
  std::optional<std::int64_t> ttl_micros;
  fields.read("status", status);
  fields.read("error", result.error);
  fields.read("add", result.resources.add);
  fields.read("change", result.resources.change);
  fields.read("destroy", result.resources.destroy);
  fields.read("needs_confirmation", result.needs_confirmation);
  fields.read("exit_code", result.exit_code);
  fields.read("may_pass", result.may_pass);
  fields.read("host", result.host);
  fields.read("began_changes", result.began_changes);
  fields.read("lock_file", result.lock_file);
  fields.read("ttl_expires_us", ttl_micros);
  fields.read("log_offset", finish.log_offset);
  fields.read("log", finish.log);
  if (ttl_micros) result.ttl_expires_at = from_micros(*ttl_micros);
  auto parsed = parse_run_status(status);
  if (!parsed) {
    fields.complain("status:", parsed.error().message);
  } else if (!is_final(*parsed)) {
    fields.complain("status", "is not one that an attempt ends with");
  } else {
    result.status = *parsed;
  }
  return result_of(fields, std::move(finish));
}

std::string encode(const Problem& problem) {
  return dump({{"code", problem.code}, {"message", problem.message}});
}

}  // namespace provisioner::runner
