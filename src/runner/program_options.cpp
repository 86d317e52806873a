#include "runner/program_options.hpp"

#include <charconv>

namespace provisioner::runner {

ProgramOptions::ProgramOptions(int argc, char** argv) {
  for (int i = 2; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") {
      command_.assign(argv + i + 1, argv + argc);
      break;
    }
    if (!word.starts_with("--") || i + 1 == argc) return;
    options_[std::string(word.substr(2))] = argv[++i];
  }
  if (argc > 1) role_ = argv[1];
}

std::string ProgramOptions::text(std::string_view name) const {
  const auto found = options_.find(name);
  return found == options_.end() ? "" : found->second;
}

std::int64_t ProgramOptions::number(std::string_view name, std::int64_t otherwise) const {
  const std::string digits = text(name);
  std::int64_t value = otherwise;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

}  // namespace provisioner::runner
