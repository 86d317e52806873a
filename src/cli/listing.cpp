#include "cli/listing.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/time.hpp"
#include "cli/exit_code.hpp"
#include "cli/terminal.hpp"
#include "http/message.hpp"
#include "runtime/clock.hpp"

namespace provisioner::cli {
namespace {

Instant now() {
  boost::asio::io_context unused_loop;
  return SystemClock(unused_loop.get_executor()).now();
}

void print_object(const nlohmann::ordered_json& object, std::size_t indent) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()))
      continue;
    if (value.is_object() && !value.empty()) {
      fmt::print("{:{}}{}:\n", "", indent, key);
      print_object(value, indent + 2);
    } else if (value.is_array() && !value.empty() && value.front().is_object()) {
      fmt::print("{:{}}{}:\n", "", indent, key);
      for (const auto& item : value) {
        fmt::print("{:{}}-\n", "", indent + 2);
        print_object(item, indent + 4);
      }
    } else {
      const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      fmt::print("{:{}}{}: {}\n", "", indent, key, text);
    }
  }
}

}  // namespace

void Query::add(std::string_view name, std::string_view value) {
  if (value.empty()) return;
  text_ += fmt::format("{}{}={}", text_.empty() ? '?' : '&', name, http::encode_component(value));
}

Result<std::string> list_of(Session& session, const std::string& target,
                            const std::string& workspace) {
  auto api = session.api();
  if (!api) return std::unexpected(api.error());
  auto list = (*api)->get(target);
  if (!list || workspace.empty() || !nlohmann::json::parse(*list)["items"].empty()) return list;
  auto known = (*api)->get("/api/v1/workspaces/" + http::encode_component(workspace));
  return known ? std::move(list) : std::move(known);
}

void show(Session& session, const std::string& target,
          const std::function<void(const std::string& json)>& print_table) {
  auto api = session.api();
  auto answer = api ? (*api)->get(target) : Result<std::string>(std::unexpected(api.error()));
  if (!answer) {
    session.code = report(answer.error());
  } else if (!session.printed(*answer)) {
    print_table(*answer);
  }
}

void act(Session& session, const std::string& method, const std::string& target,
         const std::string& body, const std::function<void(const nlohmann::json&)>& say) {
  auto api = session.api();
  auto answer =
      api ? (*api)->send(method, target, body) : Result<std::string>(std::unexpected(api.error()));
  if (!answer) {
    session.code = report(answer.error());
    return;
  }
  if (session.printed(*answer)) return;
  say(answer->empty() ? nlohmann::json::object() : nlohmann::json::parse(*answer));
}

void print_fields(const std::string& json) { print_object(nlohmann::ordered_json::parse(json), 0); }

std::string text_of(const nlohmann::json& object, const char* field) {
  const auto it = object.find(field);
  if (it == object.end() || it->is_null()) return "";
  return it->is_string() ? it->get<std::string>() : it->dump();
}

std::string ago_of(const nlohmann::json& object, const char* field) {
  const auto at = parse_rfc3339(text_of(object, field));
  if (!at) return "";
  return relative_time(std::chrono::duration_cast<std::chrono::seconds>(*at - now()).count());
}

std::string took(const nlohmann::json& run) {
  const auto from = parse_rfc3339(text_of(run, "started_at"));
  if (!from) return "";
  const auto to = parse_rfc3339(text_of(run, "finished_at"));
  const auto seconds = std::chrono::duration<double>((to ? *to : now()) - *from).count();
  return seconds < 10 ? fmt::format("{:.1f} s", seconds) : fmt::format("{:.0f} s", seconds);
}

std::string first_line(const std::string& text) {
  constexpr std::size_t kWidest = 80;
  std::string line = text.substr(0, text.find('\n'));
  return line.size() > kWidest ? line.substr(0, kWidest - 3) + "..." : line;
}

}  // namespace provisioner::cli
