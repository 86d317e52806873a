#include "http/event_stream.hpp"

namespace provisioner::http {
namespace {

void append_field(std::string& text, std::string_view name, std::string_view value) {
  text.append(name).append(": ").append(value).append("\n");
}

}  // namespace

std::string format_event(std::string_view name, std::string_view id, std::string_view data) {
  std::string text;
  if (!name.empty()) append_field(text, "event", name);
  if (!id.empty()) append_field(text, "id", id);
  while (true) {
    const auto end = data.find('\n');
    append_field(text, "data", data.substr(0, end));
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + 1);
  }
  return text + "\n";
}

bool EventStreamParser::feed(std::string_view chunk, const OnEvent& on_event) {
  pending_ += chunk;
  std::size_t begin = 0;
  while (true) {
    const auto end = pending_.find('\n', begin);
    if (end == std::string::npos) break;
    std::string_view line(pending_.data() + begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!take_line(line, on_event)) return false;
    begin = end + 1;
  }
  pending_.erase(0, begin);
  return true;
}

bool EventStreamParser::take_line(std::string_view line, const OnEvent& on_event) {
  if (line.empty()) {
    if (!has_data_) return true;
    seen_event_ = true;
    const bool go_on = on_event(name_, id_, data_);
    name_.clear();
    data_.clear();
    has_data_ = false;
    return go_on;
  }
  const auto colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "event") name_ = value;
  if (field == "id") id_ = value;
  if (field == "data") {
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  }
  return true;
}

}  // namespace provisioner::http
