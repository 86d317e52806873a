// Samples that a real binary printed.
#pragma once

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace provisioner::testing {

inline std::string sample(const std::string& name) {
  std::ifstream file(PROVISIONER_SOURCE_DIR "/tests/unit/tofu/data/" + name, std::ios::binary);
  if (!file) throw std::runtime_error("no sample " + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace provisioner::testing
