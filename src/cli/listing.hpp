// What most commands do: ask the API, print the answer as a table, as fields, or as JSON.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "cli/session.hpp"

namespace provisioner::cli {

// A query string, percent-encoded; empty values are left out.
class Query {
 public:
  void add(std::string_view name, std::string_view value);
  const std::string& text() const { return text_; }  // "" or "?a=b&c=d"

 private:
  std::string text_;
};

// GETs a list that `target` narrows to a workspace ("" = all). That of a workspace which nobody
// knows would be as empty as that of one with nothing to list: kNotFound.
Result<std::string> list_of(Session& session, const std::string& target,
                            const std::string& workspace);

// GETs `target` and prints it with `print_table`, unless another format was chosen.
void show(Session& session, const std::string& target,
          const std::function<void(const std::string& json)>& print_table);

// Sends a command and, when it was accepted, prints the answer with `say`.
void act(Session& session, const std::string& method, const std::string& target,
         const std::string& body, const std::function<void(const nlohmann::json&)>& say);

// "key: value" lines of an object, nested ones indented; absent values are left out.
void print_fields(const std::string& json);

// Fields of an answer as cells: "" when absent.
std::string text_of(const nlohmann::json& object, const char* field);
std::string ago_of(const nlohmann::json& object, const char* field);  // "3 min ago", "in 2 h"
std::string took(const nlohmann::json& run);                          // "12 s"
std::string first_line(const std::string& text);

}  // namespace provisioner::cli
