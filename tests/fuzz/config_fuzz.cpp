// Whatever stands in a config.json: no crash, an error names the file, and what was accepted is
// accepted again in its normalised form with the same fingerprints, and so are the definitions of
// its jobs. The same bytes are read as the file of a standalone job, as an ignore file and as a
// bundle.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "config/bundle.hpp"
#include "config/ignore.hpp"
#include "config/job_file.hpp"
#include "config/workspace_file.hpp"

using namespace provisioner;

namespace {

void check(const WorkspaceName& name, const Result<ParsedWorkspace>& parsed) {
  if (!parsed) {
    if (!parsed.error().message.starts_with("file: ")) std::abort();
    return;
  }
  const auto again = parse_workspace(name, parsed->normalised_json, "file");
  if (!again || again->normalised_json != parsed->normalised_json ||
      again->inputs_hash != parsed->inputs_hash || again->schedule_hash != parsed->schedule_hash) {
    std::abort();
  }
  for (const auto& job : parsed->spec.jobs) {
    const auto of_run = parse_workspace(name, job.definition, "file");
    if (!of_run || of_run->spec.jobs.size() != 1 ||
        of_run->spec.jobs[0].definition != job.definition) {
      std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const WorkspaceName name("shop");
  check(name, parse_workspace(name, text, "file"));
  const JobName job("backup");
  check(home_of(job), parse_standalone_job(job, text, "file"));
  if (size < 256) static_cast<void>(IgnorePatterns(text).ignores("a/b/c.tf", false));
  if (const auto listing = list_bundle(text)) {
    for (const auto& entry : listing->entries) {
      if (entry.offset + entry.size > size) std::abort();
    }
  }
  return 0;
}
