#include "tests/e2e/deploy/manifests.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/support/temp_directory.hpp"

namespace provisioner::testing {
namespace {

namespace fs = std::filesystem;

fs::path source_file(const std::string& name) { return fs::path(PROVISIONER_SOURCE_DIR) / name; }

std::string kubectl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "kubectl");
  const Finished finished = run_program(arguments);
  if (finished.code != 0) throw std::runtime_error(finished.err);
  return finished.out;
}

}  // namespace

Manifests::Manifests(const std::string& directory) {
  const TempDirectory temporary;
  const fs::path yaml = temporary / "all.yaml";
  write_file(yaml, kubectl({"kustomize", source_file("deploy/kubernetes") / directory}));
  // A patch of nothing: its way to read YAML without a server.
  std::istringstream json(
      kubectl({"patch", "--local", "--type=merge", "-p", "{}", "-o", "json", "-f", yaml}));
  for (Json object; json >> std::ws && !json.eof() && json >> object;) objects_.push_back(object);
}

std::vector<Json> Manifests::of_kind(const std::string& kind) const {
  std::vector<Json> found;
  for (const auto& object : objects_) {
    if (object["kind"] == kind) found.push_back(object);
  }
  return found;
}

const Json& Manifests::the(const std::string& kind, const std::string& name) const {
  for (const auto& object : objects_) {
    if (object["kind"] == kind && (name.empty() || object["metadata"]["name"] == name)) {
      return object;
    }
  }
  throw std::runtime_error("no " + kind + " " + name);
}

Environment Manifests::environment() const {
  Environment all;
  for (const auto& from : container()["envFrom"]) {
    if (!from.contains("configMapRef")) continue;
    const Json& map = the("ConfigMap", from["configMapRef"]["name"]);
    for (const auto& [name, value] : map["data"].items()) all[name] = value;
  }
  for (const auto& variable : container()["env"]) {
    const bool is_name = variable.contains("valueFrom") &&
                         variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name";
    all[variable["name"]] = is_name ? "provisioner-0" : variable["value"];
  }
  return all;
}

std::vector<std::vector<Instruction>> stages() {
  std::vector<std::vector<Instruction>> all;
  std::ifstream file(source_file("deploy/container/Containerfile"));
  std::string joined;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    joined += line;
    if (joined.ends_with('\\')) {
      joined.pop_back();
      continue;
    }
    std::istringstream words(std::exchange(joined, ""));
    Instruction instruction;
    words >> instruction.word >> std::ws;
    std::getline(words, instruction.rest);
    if (instruction.word == "FROM") all.emplace_back();
    if (!instruction.word.empty() && !all.empty()) all.back().push_back(instruction);
  }
  return all;
}

std::vector<Instruction> last_stage() { return stages().back(); }

Environment image_environment() {
  Environment all;
  for (const auto& [word, rest] : last_stage()) {
    if (word != "ENV") continue;
    std::istringstream assignments(rest);
    for (std::string one; assignments >> one;) {
      all[one.substr(0, one.find('='))] = one.substr(one.find('=') + 1);
    }
  }
  return all;
}

}  // namespace provisioner::testing
