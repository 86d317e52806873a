#include "config/workspace_edit.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "config/files.hpp"
#include "config/json_document.hpp"

namespace provisioner {
namespace {

using Json = nlohmann::ordered_json;

// Of the first indented line.
std::pair<int, char> indentation_of(std::string_view text) {
  const auto line = text.find('\n');
  if (line == std::string_view::npos) return {2, ' '};
  const auto begin = line + 1;
  const auto end = text.find_first_not_of(text.substr(begin).starts_with('\t') ? '\t' : ' ', begin);
  if (end == std::string_view::npos || end == begin) return {2, ' '};
  return {static_cast<int>(end - begin), text[begin]};
}

Json schedule_json(const std::vector<std::string>& expressions) {
  if (expressions.size() != 1) return expressions;
  const std::string& only = expressions.front();
  return only == "false" || only == "never" ? Json(false) : Json(only);
}

void set_text(Json& document, const char* field, const std::optional<std::string>& value) {
  if (!value) return;
  if (value->empty()) {
    document.erase(field);
  } else {
    document[field] = *value;
  }
}

void set_schedule(Json& document, const std::string& field,
                  const std::vector<std::string>& expressions) {
  if (expressions.empty() || (expressions.size() == 1 && expressions.front().empty())) {
    document.erase(field);
  } else {
    document[field] = schedule_json(expressions);
  }
}

Status write_all(int fd, std::string_view text, const std::string& doing) {
  while (!text.empty()) {
    const auto count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(doing, errno);
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace

bool WorkspaceEdit::is_empty() const {
  return !template_name && !description && !timezone && !deploy_schedule && !destroy_schedule &&
         mode_schedules.empty() && !enabled;
}

Result<std::string> edited_config(std::string_view text, const WorkspaceEdit& edit) {
  Json document = Json::object();
  if (!text.empty()) {
    // Refuses what a second reader would understand differently, such as a key that comes twice.
    if (const auto strict = parse_json_object(text); !strict) {
      return std::unexpected(strict.error());
    }
    document = Json::parse(text);
  }
  if (edit.enabled) document["enabled"] = *edit.enabled;
  set_text(document, "template", edit.template_name);
  set_text(document, "description", edit.description);
  if (edit.deploy_schedule) set_schedule(document, "deploy_schedule", *edit.deploy_schedule);
  if (edit.destroy_schedule) set_schedule(document, "destroy_schedule", *edit.destroy_schedule);
  for (const auto& [mode, expressions] : edit.mode_schedules) {
    Json& modes = document["mode_schedules"];
    if (!modes.is_object()) modes = Json::object();
    set_schedule(modes, mode, expressions);
  }
  set_text(document, "timezone", edit.timezone);
  const auto [width, fill] = indentation_of(text);
  return document.dump(width, fill, false, Json::error_handler_t::replace) + "\n";
}

Status replace_file(const std::filesystem::path& file, std::string_view text) {
  namespace fs = std::filesystem;
  std::error_code is_new;
  const fs::path real = fs::canonical(file, is_new);
  const fs::path target = is_new ? file : real;
  const std::string doing = fmt::format("writing {}", target.string());
  struct stat before{};
  const bool existed = ::stat(target.c_str(), &before) == 0;
  // The name is never taken for content.
  std::string temporary = target.string() + ".XXXXXX.tmp";
  const Descriptor fd(::mkostemps(temporary.data(), 4, O_CLOEXEC));
  if (!fd.is_open()) return fail_errno(doing, errno);
  Status done = write_all(fd.get(), text, doing);
  if (done && ::fchmod(fd.get(), existed ? before.st_mode & 07777 : 0644) != 0) {
    done = fail_errno(doing, errno);
  }
  // Only root can give a file away; who cannot keeps it.
  if (done && existed && ::geteuid() == 0 &&
      ::fchown(fd.get(), before.st_uid, before.st_gid) != 0) {
    done = fail_errno(doing, errno);
  }
  if (done && ::fsync(fd.get()) != 0) done = fail_errno(doing, errno);
  if (done && ::rename(temporary.c_str(), target.c_str()) != 0) done = fail_errno(doing, errno);
  if (!done) {
    ::unlink(temporary.c_str());
    return done;
  }
  const Descriptor folder(::open(target.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open() || ::fsync(folder.get()) != 0) return fail_errno(doing, errno);
  return {};
}

}  // namespace provisioner
