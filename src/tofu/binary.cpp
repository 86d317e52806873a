#include "tofu/binary.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "tofu/json_depth.hpp"

namespace provisioner::tofu {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHowToMend =
    "install OpenTofu so that `tofu` is on PATH, run `make deps`, or set tofu.binary in "
    "provisioner.toml";

bool is_executable_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

Product product_by_name(const fs::path& path) {
  return path.filename().string().starts_with("terraform") ? Product::kTerraform
                                                           : Product::kOpenTofu;
}

fs::path made_absolute(const fs::path& path) {
  std::error_code error;
  fs::path result = fs::absolute(path, error);
  return error ? path : result;
}

// The first executable `name` in the directories of PATH. An empty entry would mean the working
// directory: never what a daemon wants.
fs::path on_path(std::string_view name, std::string_view path_variable) {
  for (const std::string_view directory : split(path_variable, ':')) {
    if (directory.empty()) continue;
    const fs::path candidate = fs::path(directory) / name;
    if (is_executable_file(candidate)) return made_absolute(candidate);
  }
  return {};
}

}  // namespace

std::string_view to_string(Product product) {
  return product == Product::kOpenTofu ? "OpenTofu" : "Terraform";
}

std::string Binary::describe() const {
  return fmt::format("{}{}{} ({})", to_string(product), version.empty() ? "" : " ", version,
                     path.string());
}

BinarySearch find_binary(const std::string& configured, std::string_view path_variable) {
  BinarySearch search;
  if (!configured.empty()) {
    if (is_executable_file(configured)) {
      search.steps.push_back(fmt::format("tofu.binary: {}", configured));
      search.found = Binary{made_absolute(configured), product_by_name(configured), ""};
    } else {
      search.steps.push_back(fmt::format("tofu.binary: {} is no executable file", configured));
      search.found =
          fail(ErrorKind::kNotFound,
               fmt::format("tofu.binary: {} is no executable file: correct it, or remove "
                           "it so that PATH is searched",
                           configured));
    }
    return search;
  }
  search.steps.emplace_back("tofu.binary: not set");
  for (const std::string_view name : {"tofu", "terraform"}) {
    const fs::path path = on_path(name, path_variable);
    if (!path.empty()) {
      search.steps.push_back(fmt::format("{} on PATH: {}", name, path.string()));
      search.found = Binary{path, product_by_name(path), ""};
      return search;
    }
    search.steps.push_back(fmt::format("{} on PATH: not found in {}", name, path_variable));
  }
  search.found = fail(ErrorKind::kNotFound,
                      fmt::format("neither tofu nor terraform is on PATH: {}", kHowToMend));
  return search;
}

Result<std::string> parse_version_json(std::string_view output) {
  const auto begin = output.find('{');
  const auto end = output.rfind('}');
  if (begin != std::string_view::npos && end != std::string_view::npos && begin < end &&
      !nests_too_deep(output)) {
    const auto json = nlohmann::json::parse(output.substr(begin, end - begin + 1), nullptr, false);
    if (json.is_object() && json.contains("terraform_version") &&
        json["terraform_version"].is_string()) {
      return json["terraform_version"].get<std::string>();
    }
  }
  return fail(ErrorKind::kInvalid,
              fmt::format("no version in the output of `version -json`: {}",
                          trim(output.substr(0, std::min<std::size_t>(output.size(), 200)))));
}

}  // namespace provisioner::tofu
