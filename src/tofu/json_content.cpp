#include "tofu/json_content.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tofu/json_depth.hpp"

namespace provisioner::tofu {
namespace {

using Json = nlohmann::json;

// In this syntax a block may be an object or an array of objects.
template <typename Visit>
void for_each_body(const Json& blocks, Visit visit) {
  if (blocks.is_object()) visit(blocks);
  if (!blocks.is_array()) return;
  for (const Json& block : blocks) {
    if (block.is_object()) visit(block);
  }
}

const Json& member(const Json& body, const char* name) {
  static const Json kNothing;
  const auto found = body.find(name);
  return found == body.end() ? kNothing : *found;
}

bool is_comment(const std::string& name) { return name == "//"; }

void take_terraform(const Json& body, ContentFacts& facts) {
  if (body.contains("cloud")) facts.cloud = true;
  for_each_body(member(body, "backend"), [&](const Json& kinds) {
    for (const auto& [kind, unused] : kinds.items()) {
      if (!is_comment(kind) && !facts.backend) facts.backend = kind;
    }
  });
  for_each_body(member(body, "required_providers"), [&](const Json& providers) {
    for (const auto& [name, unused] : providers.items()) {
      if (!is_comment(name)) facts.required_providers.insert(name);
    }
  });
}

}  // namespace

bool is_json_content(std::string_view name) {
  return name.ends_with(".tf.json") || name.ends_with(".tofu.json");
}

Status scan_json(const ContentFile& file, ContentFacts& facts) {
  const Json json = nests_too_deep(file.text) ? Json(Json::value_t::discarded)
                                              : Json::parse(file.text, nullptr, false);
  if (json.is_discarded()) {
    return fail(ErrorKind::kInvalid, fmt::format("{}: not valid JSON", file.name));
  }
  for_each_body(json, [&](const Json& top) {
    for_each_body(member(top, "terraform"), [&](const Json& body) { take_terraform(body, facts); });
    for_each_body(member(top, "variable"), [&](const Json& variables) {
      for (const auto& [name, unused] : variables.items()) {
        if (!is_comment(name)) facts.variables.insert(name);
      }
    });
    for_each_body(member(top, "module"), [&](const Json& modules) {
      for (const auto& [name, module] : modules.items()) {
        for_each_body(module, [&](const Json& body) {
          const Json& source = member(body, "source");
          if (source.is_string())
            facts.modules.push_back({file.name, 0, source.get<std::string>()});
        });
      }
    });
  });
  return {};
}

}  // namespace provisioner::tofu
