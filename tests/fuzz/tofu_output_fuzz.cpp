// Whatever a child prints, and however its pieces are cut: the events are the same, and their text
// is fit for a log.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tofu/errors.hpp"
#include "tofu/output.hpp"

using namespace provisioner::tofu;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

std::string log_of(std::string_view output, std::size_t piece) {
  OutputParser parser;
  std::string log;
  const auto take = [&](const std::vector<OutputEvent>& events) {
    for (const OutputEvent& event : events) log += event.text + "\n";
  };
  for (std::size_t at = 0; at < output.size(); at += piece) {
    take(parser.feed(output.substr(at, piece)));
  }
  take(parser.finish());
  classify_failure({"apply", 1, 0}, parser.summary(), log);
  return log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view output(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string log = log_of(output, output.size());
  require(log == log_of(output, 1u + data[0]));
  require(plain_text(log) == log);
  return 0;
}
