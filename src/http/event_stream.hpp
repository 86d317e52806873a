// Server-sent events (HTML standard, section 9.2): writing and reading.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace provisioner::http {

// One event as text; `data` may have several lines. Empty `id` or `name` are left out.
std::string format_event(std::string_view name, std::string_view id, std::string_view data);

// What a stream says at its end when the server stops: readers connect again after a second, by
// then to an instance that serves.
inline constexpr const char* kComeBackSoon = ": this instance is stopping\nretry: 1000\n\n";

// Reads a stream that arrives in pieces. A comment (": keep-alive") is skipped.
class EventStreamParser {
 public:
  using OnEvent =
      std::function<bool(std::string_view name, std::string_view id, std::string_view data)>;

  // Calls `on_event` for each event completed by `chunk`; false as soon as it returned false.
  bool feed(std::string_view chunk, const OnEvent& on_event);

  bool seen_event() const { return seen_event_; }

 private:
  bool take_line(std::string_view line, const OnEvent& on_event);

  std::string pending_;
  std::string name_, id_, data_;
  bool has_data_ = false;
  bool seen_event_ = false;
};

}  // namespace provisioner::http
