// Holds JSON to a schema of docs/openapi.json: the part of JSON Schema that the file uses.
#pragma once

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace provisioner::testing {

class ApiDescription {
 public:
  ApiDescription() {
    std::ifstream file(PROVISIONER_SOURCE_DIR "/docs/openapi.json");
    document_ = nlohmann::json::parse(file);
  }

  // "" when `value` is what the operation may answer with that status and type; else the reason.
  std::string check_answer(const std::string& method, const std::string& pattern, int status,
                           const std::string& type, const std::string& body) const {
    const auto& operation = document_.at("paths").at(pattern).at(method);
    const auto& answers = operation.at("responses");
    const auto code = std::to_string(status);
    if (!answers.contains(code)) return code + " is not described";
    const auto& answer = resolve(answers.at(code));
    if (!answer.contains("content")) return body.empty() ? "" : "a body is not described";
    const auto& content = answer.at("content");
    const std::string bare = type.substr(0, type.find(';'));
    if (!content.contains(bare)) return bare + " is not described";
    if (!bare.ends_with("json")) return "";
    return check(nlohmann::json::parse(body), content.at(bare).at("schema"), "$");
  }

 private:
  const nlohmann::json& resolve(const nlohmann::json& schema) const {
    if (!schema.contains("$ref")) return schema;
    const std::string path = schema.at("$ref").get<std::string>().substr(1);
    return document_.at(nlohmann::json::json_pointer(path));
  }

  static bool has_type(const nlohmann::json& value, const std::string& type) {
    if (type == "null") return value.is_null();
    if (type == "string") return value.is_string();
    if (type == "integer") return value.is_number_integer();
    if (type == "boolean") return value.is_boolean();
    if (type == "array") return value.is_array();
    return type == "object" && value.is_object();
  }

  std::string check(const nlohmann::json& value, const nlohmann::json& given,
                    const std::string& at) const {
    const auto& schema = resolve(given);
    if (schema.contains("type")) {
      const auto& types = schema.at("type");
      const bool fits =
          types.is_string()
              ? has_type(value, types)
              : std::ranges::any_of(types, [&](const auto& type) { return has_type(value, type); });
      if (!fits) return at + ": " + value.dump() + " is not " + types.dump();
    }
    if (schema.contains("enum") && std::ranges::count(schema.at("enum"), value) == 0) {
      return at + ": " + value.dump() + " is not one of " + schema.at("enum").dump();
    }
    if (value.is_array() && schema.contains("items")) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        auto wrong = check(value[i], schema.at("items"), at + "[" + std::to_string(i) + "]");
        if (!wrong.empty()) return wrong;
      }
    }
    return value.is_object() ? check_members(value, schema, at) : "";
  }

  std::string check_members(const nlohmann::json& value, const nlohmann::json& schema,
                            const std::string& at) const {
    for (const auto& name : schema.value("required", nlohmann::json::array())) {
      if (!value.contains(name.get<std::string>())) return at + ": no " + name.dump();
    }
    const auto properties = schema.value("properties", nlohmann::json::object());
    const auto others = schema.value("additionalProperties", nlohmann::json(true));
    for (const auto& [name, member] : value.items()) {
      if (!properties.contains(name) && others == false) return at + "." + name + " is unknown";
      const auto& member_schema = properties.contains(name) ? properties.at(name) : others;
      if (!member_schema.is_object()) continue;
      if (auto wrong = check(member, member_schema, at + "." + name); !wrong.empty()) return wrong;
    }
    return "";
  }

  nlohmann::json document_;
};

}  // namespace provisioner::testing
