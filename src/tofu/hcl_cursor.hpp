// A place in one file of HCL, and the steps over what its grammar nests: comments, strings with
// templates, heredocs, brackets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tofu/hcl_scanner.hpp"

namespace provisioner::tofu {

// Every step that meets the end of the file too early returns false, with `problem` set. The file
// must outlive the cursor.
class HclCursor {
 public:
  static constexpr int kDeepest = 200;  // brackets and blocks within one another

  explicit HclCursor(const ContentFile& file);

  bool at_end() const { return at_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  std::size_t place() const { return at_; }
  std::string_view since(std::size_t place) const { return text_.substr(place, at_ - place); }
  std::int64_t line() const { return line_; }
  const ContentFile& file() const { return file_; }

  void advance();

  // Spaces and comments; newlines too if asked for. A `#` or `//` comment ends before its newline.
  bool skip_space(bool newlines);

  std::string_view name();

  // A quoted string. `literal` gets its text; it is left alone when the string holds a template.
  bool skip_string(std::optional<std::string>& literal, int depth);

  // To `close` and over it, whatever nests in between.
  bool skip_nested(char close, int depth);

  // One string, heredoc, bracketed group or other character.
  bool skip_token(int depth);

  bool stop(std::int64_t line, std::string_view what);
  const std::string& problem() const { return problem_; }

  static bool is_name_start(char c);

 private:
  bool starts(std::string_view with) const { return text_.substr(at_).starts_with(with); }
  bool at_heredoc() const;
  bool skip_heredoc();

  const ContentFile& file_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
  std::string problem_;
};

}  // namespace provisioner::tofu
