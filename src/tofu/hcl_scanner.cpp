#include "tofu/hcl_scanner.hpp"

#include "tofu/hcl_cursor.hpp"
#include "tofu/json_content.hpp"

namespace provisioner::tofu {
namespace {

// Where in the file we are, as far as it matters.
enum class Place { kTop, kTerraform, kModule, kRequiredProviders, kElsewhere };

class Scan {
 public:
  Scan(HclCursor& cursor, ContentFacts& facts) : cursor_(cursor), facts_(facts) {}

  // Attributes and blocks, to the end of the file (top) or over the closing brace.
  bool body(Place place, int depth) {
    const std::int64_t began = cursor_.line();
    if (depth > HclCursor::kDeepest) return cursor_.stop(began, "blocks nest too deep");
    while (true) {
      if (!cursor_.skip_space(true)) return false;
      if (cursor_.at_end()) {
        return place == Place::kTop || cursor_.stop(began, "a block that begins here never ends");
      }
      if (cursor_.peek() == '}') {
        cursor_.advance();
        if (place != Place::kTop) return true;
      } else if (!HclCursor::is_name_start(cursor_.peek())) {
        if (!cursor_.skip_token(depth)) return false;
      } else if (!item(place, depth)) {
        return false;
      }
    }
  }

 private:
  // "name = expression" or "type labels {".
  bool item(Place place, int depth) {
    const std::int64_t line = cursor_.line();
    const std::string word(cursor_.name());
    std::vector<std::string> labels;
    while (true) {
      if (!cursor_.skip_space(false)) return false;
      if (cursor_.peek() == '=' && cursor_.peek(1) != '=')
        return attribute(place, word, line, depth);
      if (cursor_.peek() == '{') return block(place, word, labels, depth);
      if (cursor_.peek() == '"') {
        std::optional<std::string> label;
        if (!cursor_.skip_string(label, depth)) return false;
        labels.push_back(label.value_or(""));
      } else if (HclCursor::is_name_start(cursor_.peek())) {
        labels.emplace_back(cursor_.name());
      } else {
        return true;  // no item that we know: body() goes on behind it
      }
    }
  }

  bool attribute(Place place, const std::string& word, std::int64_t line, int depth) {
    cursor_.advance();
    if (place == Place::kRequiredProviders) facts_.required_providers.insert(word);
    if (!cursor_.skip_space(false)) return false;
    std::optional<std::string> literal;
    if (cursor_.peek() == '"' && !cursor_.skip_string(literal, depth)) return false;
    bool alone = true;
    while (true) {
      if (!cursor_.skip_space(false)) return false;
      const char c = cursor_.peek();
      if (cursor_.at_end() || c == '\n' || c == '}' || c == ',') break;
      alone = false;
      if (!cursor_.skip_token(depth)) return false;
    }
    if (cursor_.peek() == ',') cursor_.advance();
    if (place == Place::kModule && word == "source" && literal && alone) {
      facts_.modules.push_back({cursor_.file().name, line, *literal});
    }
    return true;
  }

  bool block(Place place, const std::string& type, const std::vector<std::string>& labels,
             int depth) {
    cursor_.advance();
    Place inside = Place::kElsewhere;
    if (place == Place::kTop) {
      if (type == "terraform") inside = Place::kTerraform;
      if (type == "module") inside = Place::kModule;
      if (type == "variable" && !labels.empty()) facts_.variables.insert(labels.front());
    } else if (place == Place::kTerraform) {
      if (type == "required_providers") inside = Place::kRequiredProviders;
      if (type == "cloud") facts_.cloud = true;
      if (type == "backend" && !facts_.backend) {
        facts_.backend = labels.empty() ? "" : labels.front();
      }
    }
    return body(inside, depth + 1);
  }

  HclCursor& cursor_;
  ContentFacts& facts_;
};

}  // namespace

bool is_content_file(std::string_view name) {
  return name.ends_with(".tf") || name.ends_with(".tofu") || is_json_content(name);
}

Result<ContentFacts> scan_content(std::span<const ContentFile> files) {
  ContentFacts facts;
  for (const ContentFile& file : files) {
    if (!is_content_file(file.name)) continue;
    if (is_json_content(file.name)) {
      if (auto status = scan_json(file, facts); !status) return std::unexpected(status.error());
      continue;
    }
    HclCursor cursor(file);
    if (!Scan(cursor, facts).body(Place::kTop, 0)) {
      return fail(ErrorKind::kInvalid, cursor.problem());
    }
  }
  return facts;
}

}  // namespace provisioner::tofu
