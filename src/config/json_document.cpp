#include "config/json_document.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace provisioner {
namespace {

using nlohmann::json;

constexpr std::size_t kMostLevels = 64;

// What the parser is inside of, to see a key twice.
class Nesting {
 public:
  // Returns why the document is refused, or "".
  std::string note(json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        levels_.emplace_back();
        if (levels_.size() > kMostLevels) {
          return fmt::format("more than {} levels of nesting", kMostLevels);
        }
        return {};
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end: levels_.pop_back(); return {};
      case json::parse_event_t::key: return note_key(parsed.get_ref<const std::string&>());
      case json::parse_event_t::value: return {};
    }
    return {};
  }

 private:
  struct Level {
    std::set<std::string> keys;
    std::string current;
  };

  std::string note_key(const std::string& key) {
    auto& level = levels_.back();
    level.current = key;
    if (level.keys.insert(key).second) return {};
    std::string where;
    for (std::size_t i = 0; i + 1 < levels_.size(); ++i) {
      if (!levels_[i].current.empty()) where += levels_[i].current + ": ";
    }
    return fmt::format("{}{} appears twice", where, quote(key));
  }

  std::vector<Level> levels_;
};

struct Refused {
  std::string reason;
};

// "[json.exception.parse_error.101] parse error at line 3, column 5: syntax error ..." without what
// only a programmer reads.
std::string for_people(std::string_view what) {
  constexpr std::string_view kBefore = "parse error at ";
  if (const auto at = what.find(kBefore); at != std::string_view::npos) {
    what.remove_prefix(at + kBefore.size());
  } else if (const auto end = what.find("] "); end != std::string_view::npos) {
    what.remove_prefix(end + 2);
  }
  return std::string(what);
}

}  // namespace

Result<json> parse_json_object(std::string_view text) {
  Nesting nesting;
  const auto watch = [&nesting](int, json::parse_event_t event, json& parsed) {
    if (auto reason = nesting.note(event, parsed); !reason.empty()) {
      throw Refused{std::move(reason)};
    }
    return true;
  };
  try {
    auto document = json::parse(text, watch);
    if (!document.is_object()) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("expected an object ({{...}}), found {}", describe_json(document)));
    }
    return document;
  } catch (const Refused& refused) {
    return fail(ErrorKind::kInvalid, refused.reason);
  } catch (const json::exception& error) {
    return fail(ErrorKind::kInvalid, for_people(error.what()));
  }
}

std::string_view describe_json(const json& value) {
  switch (value.type()) {
    case json::value_t::null: return "null";
    case json::value_t::boolean: return value.get<bool>() ? "true" : "false";
    case json::value_t::string: return "a string";
    case json::value_t::array: return "an array";
    case json::value_t::object: return "an object";
    default: return "a number";
  }
}

std::string quote(std::string_view text) {
  constexpr std::size_t kMost = 80;
  const bool cut = text.size() > kMost;
  auto quoted = json(text.substr(0, kMost)).dump(-1, ' ', false, json::error_handler_t::replace);
  if (cut) quoted.insert(quoted.size() - 1, "...");
  return quoted;
}

}  // namespace provisioner
