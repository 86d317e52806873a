#include "tofu/hcl_cursor.hpp"

#include <fmt/format.h>

namespace provisioner::tofu {
namespace {

bool is_name_part(char c) {
  return HclCursor::is_name_start(c) || (c >= '0' && c <= '9') || c == '-';
}

char unescaped(char c) { return c == 'n' ? '\n' : c == 't' ? '\t' : c; }

}  // namespace

HclCursor::HclCursor(const ContentFile& file) : file_(file), text_(file.text) {
  if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;  // a byte order mark
}

bool HclCursor::is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

void HclCursor::advance() {
  if (peek() == '\n') ++line_;
  ++at_;
}

bool HclCursor::skip_space(bool newlines) {
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

std::string_view HclCursor::name() {
  const std::size_t begin = at_;
  while (!at_end() && is_name_part(peek())) advance();
  return text_.substr(begin, at_ - begin);
}

bool HclCursor::skip_string(std::optional<std::string>& literal, int depth) {
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

bool HclCursor::at_heredoc() const {
  return starts("<<") && (is_name_start(peek(2)) || (peek(2) == '-' && is_name_start(peek(3))));
}

// Behind "<<" or "<<-": everything to the line that holds only the marker.
bool HclCursor::skip_heredoc() {
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

bool HclCursor::skip_nested(char close, int depth) {
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

bool HclCursor::skip_token(int depth) {
  std::optional<std::string> unused;
  if (peek() == '"') return skip_string(unused, depth);
  if (at_heredoc()) return skip_heredoc();
  const char closing = peek() == '{' ? '}' : peek() == '[' ? ']' : peek() == '(' ? ')' : '\0';
  advance();
  return closing == '\0' || skip_nested(closing, depth + 1);
}

bool HclCursor::stop(std::int64_t line, std::string_view what) {
  problem_ = fmt::format("{}:{}: {}", file_.name, line, what);
  return false;
}

}  // namespace provisioner::tofu
