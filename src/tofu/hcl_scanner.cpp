#include "tofu/hcl_scanner.hpp"

#include <fmt/format.h>

#include "tofu/json_content.hpp"

namespace provisioner::tofu {
namespace {

constexpr int kDeepest = 200;

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool is_name_part(char c) { return is_name_start(c) || (c >= '0' && c <= '9') || c == '-'; }

// A place in one file, and the steps over what the grammar nests. Every step that finds the end of
// the file too early returns false with `problem` set.
class Cursor {
 public:
  Cursor(const ContentFile& file) : file_(file), text_(file.text) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;  // a byte order mark
  }

  bool at_end() const { return at_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool starts(std::string_view with) const { return text_.substr(at_).starts_with(with); }
  std::int64_t line() const { return line_; }
  const ContentFile& file() const { return file_; }

  void advance() {
    if (peek() == '\n') ++line_;
    ++at_;
  }

  // Spaces and comments; newlines too if asked for. A `#` or `//` comment ends before its newline.
  bool skip_space(bool newlines) {
    while (!at_end()) {
      const char c = peek();
      if (c == ' ' || c == '\t' || c == '\r' || (newlines && c == '\n')) {
        advance();
      } else if (c == '#' || starts("//")) {
        while (!at_end() && peek() != '\n') advance();
      } else if (starts("/*")) {
        const std::int64_t began = line_;
        advance(), advance();
        while (!at_end() && !starts("*/")) advance();
        if (at_end()) return stop(began, "a comment that begins with /* never ends");
        advance(), advance();
      } else {
        break;
      }
    }
    return true;
  }

  std::string_view name() {
    const std::size_t begin = at_;
    while (!at_end() && is_name_part(peek())) advance();
    return text_.substr(begin, at_ - begin);
  }

  // A quoted string. `literal` gets its text; it is left alone when the string holds a template.
  bool skip_string(std::optional<std::string>& literal, int depth) {
    const std::int64_t began = line_;
    std::string value;
    bool has_template = false;
    advance();
    while (!at_end() && peek() != '"') {
      if (peek() == '\n') return stop(began, "a string never ends on its line");
      if (peek() == '\\') {
        advance();
        if (at_end()) break;
        value += unescaped(peek());
        advance();
      } else if (starts("$${") || starts("%%{")) {
        value += text_.substr(at_ + 1, 2);
        advance(), advance(), advance();
      } else if (starts("${") || starts("%{")) {
        has_template = true;
        advance(), advance();
        if (!skip_nested('}', depth + 1)) return false;
      } else {
        value += peek();
        advance();
      }
    }
    if (at_end()) return stop(began, "a string never ends");
    advance();
    if (!has_template) literal = std::move(value);
    return true;
  }

  // Behind "<<" or "<<-": everything to the line that holds only the marker.
  bool skip_heredoc() {
    const std::int64_t began = line_;
    advance(), advance();
    if (peek() == '-') advance();
    const std::string marker(name());
    while (!at_end() && peek() != '\n') advance();
    while (!at_end()) {
      advance();  // the newline
      const std::size_t begin = at_;
      while (!at_end() && peek() != '\n') advance();
      std::string_view row = text_.substr(begin, at_ - begin);
      while (!row.empty() && (row.front() == ' ' || row.front() == '\t')) row.remove_prefix(1);
      while (!row.empty() && (row.back() == ' ' || row.back() == '\r')) row.remove_suffix(1);
      if (row == marker) return true;
    }
    return stop(began, fmt::format("the heredoc <<{} never ends", marker));
  }

  bool at_heredoc() const {
    return starts("<<") && (is_name_start(peek(2)) || (peek(2) == '-' && is_name_start(peek(3))));
  }

  // To `close` and over it, whatever nests in between.
  bool skip_nested(char close, int depth) {
    const std::int64_t began = line_;
    if (depth > kDeepest) return stop(began, "brackets nest too deep");
    while (true) {
      if (!skip_space(true)) return false;
      if (at_end()) return stop(began, fmt::format("a {} is missing", close));
      if (peek() == close) {
        advance();
        return true;
      }
      if (!skip_token(depth)) return false;
    }
  }

  // One string, heredoc, bracketed group or other character.
  bool skip_token(int depth) {
    std::optional<std::string> unused;
    if (peek() == '"') return skip_string(unused, depth);
    if (at_heredoc()) return skip_heredoc();
    const char closing = peek() == '{' ? '}' : peek() == '[' ? ']' : peek() == '(' ? ')' : '\0';
    advance();
    return closing == '\0' || skip_nested(closing, depth + 1);
  }

  bool stop(std::int64_t line, std::string_view what) {
    problem_ = fmt::format("{}:{}: {}", file_.name, line, what);
    return false;
  }
  const std::string& problem() const { return problem_; }

 private:
  static char unescaped(char c) { return c == 'n' ? '\n' : c == 't' ? '\t' : c; }

  const ContentFile& file_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
  std::string problem_;
};

// Where in the file we are, as far as it matters.
enum class Place { kTop, kTerraform, kModule, kRequiredProviders, kElsewhere };

class Scan {
 public:
  Scan(Cursor& cursor, ContentFacts& facts) : cursor_(cursor), facts_(facts) {}

  // Attributes and blocks, to the end of the file (top) or over the closing brace.
  bool body(Place place, int depth) {
    const std::int64_t began = cursor_.line();
    if (depth > kDeepest) return cursor_.stop(began, "blocks nest too deep");
    while (true) {
      if (!cursor_.skip_space(true)) return false;
      if (cursor_.at_end()) {
        return place == Place::kTop || cursor_.stop(began, "a block that begins here never ends");
      }
      if (cursor_.peek() == '}') {
        cursor_.advance();
        if (place != Place::kTop) return true;
      } else if (!is_name_start(cursor_.peek())) {
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
      } else if (is_name_start(cursor_.peek())) {
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

  Cursor& cursor_;
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
    Cursor cursor(file);
    if (!Scan(cursor, facts).body(Place::kTop, 0)) {
      return fail(ErrorKind::kInvalid, cursor.problem());
    }
  }
  return facts;
}

}  // namespace provisioner::tofu
