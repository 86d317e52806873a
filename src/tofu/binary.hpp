// Which binary runs the workspaces: OpenTofu, or Terraform where there is no OpenTofu.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"

namespace provisioner::tofu {

enum class Product { kOpenTofu, kTerraform };
std::string_view to_string(Product product);  // "OpenTofu", "Terraform"

struct Binary {
  std::filesystem::path path;  // absolute
  Product product = Product::kOpenTofu;
  std::string version;  // "1.11.4"; "" until it was asked

  std::string describe() const;  // "Terraform 1.11.4 (/usr/local/bin/terraform)"
  friend bool operator==(const Binary&, const Binary&) = default;
};

struct BinarySearch {
  Result<Binary> found = fail(ErrorKind::kNotFound, "not searched");
  std::vector<std::string> steps;  // what was looked at and what came of it, for `doctor`
};

// `configured` (tofu.binary) if it is not empty, else `tofu`, else `terraform` in the directories
// of `path_variable` (the value of PATH). Runs nothing: the product is judged by the file's name
// and the version is empty. kNotFound says how to mend it.
BinarySearch find_binary(const std::string& configured, std::string_view path_variable);

// The version in the output of `<binary> version -json`, which warnings may surround.
Result<std::string> parse_version_json(std::string_view output);

// Runs `<binary> version -json` and completes `binary` with its version. Blocks until
// the command ends, `timeout` at the longest (kTimeout): call it behind Offload. The child gets
// only what it needs of this process's environment, and none of its files.
Result<Binary> ask_version(Binary binary, Duration timeout);

}  // namespace provisioner::tofu
