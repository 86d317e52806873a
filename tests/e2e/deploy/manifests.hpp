// What `kubectl` makes of deploy/kubernetes, and what the Containerfile says.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/program.hpp"

namespace provisioner::testing {

using Json = nlohmann::json;

class Manifests {
 public:
  // Of a directory below deploy/kubernetes. Throws with kubectl's words when it cannot.
  explicit Manifests(const std::string& directory);

  const std::vector<Json>& all() const { return objects_; }
  std::vector<Json> of_kind(const std::string& kind) const;
  // The only one of its kind, or of that name; throws when there is none.
  const Json& the(const std::string& kind, const std::string& name = "") const;

  // Of the StatefulSet's pods.
  const Json& pod() const { return the("StatefulSet")["spec"]["template"]["spec"]; }
  const Json& labels() const {
    return the("StatefulSet")["spec"]["template"]["metadata"]["labels"];
  }
  const Json& container() const { return pod()["containers"][0]; }
  // The variables that the manifests give to the program, as pod provisioner-0 sees them. Secrets
  // are made apart.
  Environment environment() const;

 private:
  std::vector<Json> objects_;
};

struct Instruction {
  std::string word;  // "RUN"
  std::string rest;  // with continued lines joined
};

// The build stages of deploy/container/Containerfile, each with its instructions.
std::vector<std::vector<Instruction>> stages();
std::vector<Instruction> last_stage();  // what becomes the image
// Its ENV.
Environment image_environment();

}  // namespace provisioner::testing
