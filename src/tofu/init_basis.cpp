#include "tofu/init_basis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "base/text.hpp"
#include "tofu/hcl_cursor.hpp"
#include "tofu/json_content.hpp"

namespace provisioner::tofu {
namespace {

constexpr std::array<std::string_view, 3> kOfAProvider = {"resource", "data", "ephemeral"};
constexpr std::array<std::string_view, 3> kWithoutProvider = {"variable", "output", "locals"};
// Read whole: rare, or all of it matters.
constexpr std::array<std::string_view, 4> kWhole = {"provider", "import", "moved", "removed"};

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

// Collects the basis of one file after the other. Every step is false when something is not sure.
class Collection {
 public:
  bool file(const ContentFile& content) {
    HclCursor cursor(content);
    while (true) {
      if (!cursor.skip_space(true)) return false;
      if (cursor.at_end()) return true;
      if (!block(cursor)) return false;
    }
  }

  std::string text() const {
    std::string all;
    for (const auto& row : rows_) all += row + "\n";
    return all;
  }

 private:
  bool block(HclCursor& cursor) {
    const std::size_t began = cursor.place();
    const std::string type(cursor.name());
    std::vector<std::string> labels;
    while (cursor.peek() != '{') {
      if (!cursor.skip_space(false)) return false;
      if (cursor.peek() == '"') {
        std::optional<std::string> label;
        if (!cursor.skip_string(label, 0) || !label) return false;
        labels.push_back(std::move(*label));
      } else if (HclCursor::is_name_start(cursor.peek())) {
        labels.emplace_back(cursor.name());
      } else if (cursor.peek() != '{') {
        return false;  // no block
      }
    }
    cursor.advance();
    if (is_one_of(kOfAProvider, type) && labels.size() == 2) {
      rows_.insert(type + " " + labels.front());
      return requested_provider(cursor);
    }
    if (!cursor.skip_nested('}', 1)) return false;
    if (is_one_of(kWithoutProvider, type)) return true;
    const std::string whole = fmt::format("{}: {}", cursor.file().name, cursor.since(began));
    if (type == "terraform") {
      // Its backend is another way of init; OpenTofu lets some settings refer to variables.
      for (const std::string_view word : {"backend", "cloud", "var.", "local.", "${"}) {
        if (whole.contains(word)) return false;
      }
    } else if (!is_one_of(kWhole, type)) {
      return false;
    }
    rows_.insert(whole);
    return true;
  }

  // The argument `provider` of a resource, to the block's end.
  bool requested_provider(HclCursor& cursor) {
    while (true) {
      if (!cursor.skip_space(true)) return false;
      if (cursor.at_end()) return false;
      if (cursor.peek() == '}') {
        cursor.advance();
        return true;
      }
      const std::size_t began = cursor.place();
      const std::string_view word = cursor.name();
      const bool provider = word == "provider";
      while (!cursor.at_end() && cursor.peek() != '\n' && cursor.peek() != '}') {
        if (!cursor.skip_space(false)) return false;
        if (cursor.at_end() || cursor.peek() == '\n' || cursor.peek() == '}') break;
        if (!cursor.skip_token(1)) return false;
      }
      if (provider) rows_.emplace(trim(cursor.since(began)));
    }
  }

  std::set<std::string> rows_;
};

}  // namespace

std::optional<std::string> init_basis(std::span<const ContentFile> files) {
  Collection collection;
  for (const ContentFile& file : files) {
    if (!is_content_file(file.name)) continue;
    if (is_json_content(file.name) || !collection.file(file)) return std::nullopt;
  }
  return collection.text();
}

bool adds_to_init(std::string_view name) {
  if (name == "tests") return true;
  if (name.ends_with(".hcl")) return name != ".terraform.lock.hcl";
  constexpr std::array<std::string_view, 4> kKinds = {".tftest.", ".tofutest.", ".tfmock.",
                                                      ".tfquery."};
  return std::ranges::any_of(kKinds, [&](std::string_view kind) { return name.contains(kind); });
}

}  // namespace provisioner::tofu
