#include "execution/assignment_source.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "config/workspace_file.hpp"
#include "execution/assignment.hpp"
#include "execution/preparation.hpp"
#include "runner/attempt_directory.hpp"
#include "tofu/binary.hpp"
#include "tofu/state_body.hpp"

namespace provisioner::execution {
namespace {

namespace fs = std::filesystem;

Result<std::string> read_file(const fs::path& file) {
  constexpr std::uintmax_t kMost = 1024 * 1024;
  std::error_code unknown;
  if (fs::file_size(file, unknown) > kMost && !unknown) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{} is larger than 1 MiB: a secret is not", file.string()));
  }
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail_errno(fmt::format("reading {}", file.string()), errno);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// The workspace's own files; what it includes are modules with variables of their own.
Result<tofu::ContentFacts> scan(const fs::path& content) {
  std::vector<std::pair<std::string, std::string>> texts;
  std::error_code error;
  for (fs::directory_iterator it(content, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!tofu::is_content_file(name)) continue;
    std::ifstream in(it->path(), std::ios::binary);
    if (!in) return fail_errno(fmt::format("reading {}", it->path().string()), errno);
    texts.emplace_back(std::move(name), std::string(std::istreambuf_iterator<char>(in), {}));
  }
  if (error) return fail_errno(fmt::format("reading {}", content.string()), error.value());
  std::vector<tofu::ContentFile> files;
  for (const auto& [name, text] : texts) files.push_back({name, text});
  return tofu::scan_content(files);
}

// Another binary under the same name, after an upgrade of the package, needs another init.
std::string identity_of(const fs::path& binary) {
  struct stat file{};
  if (stat(binary.c_str(), &file) != 0) return binary.string();
  return fmt::format("{} {} {}.{:09}", binary.string(), file.st_size, file.st_mtim.tv_sec,
                     file.st_mtim.tv_nsec);
}

std::string path_of(const Environment& environment) {
  const auto path = environment.find("PATH");
  return path == environment.end() ? "/usr/local/bin:/usr/bin:/bin" : path->second;
}

}  // namespace

// Whoever worked on the folder by hand has a state there. While the store has none, a deploy would
// create all of it a second time.
Status AssignmentSource::check_local_state(const Run& run, const std::string& directory,
                                           const tofu::ContentFacts& facts) const {
  if (run.operation != Operation::kDeploy || facts.keeps_own_state()) return {};
  const auto note = read_attempt_note(runner::AttemptDirectory{directory});
  if (!note || note->base_state != 0) return {};
  const fs::path file = settings_.workspaces_dir / run.workspace.value / "terraform.tfstate";
  std::error_code error;
  if (!fs::exists(file, error)) return {};
  const auto body = read_file(file);
  const auto local =
      body ? tofu::parse_state(*body) : Result<StateMeta>(std::unexpected(body.error()));
  if (local && local->resources == 0) return {};
  return fail(
      ErrorKind::kInvalid,
      fmt::format("{0} is a state that was not imported{1}: a deploy would create its "
                  "resources again. Import it with 'provisioner state push {2} {0}', or move "
                  "the file away",
                  file.string(), local ? fmt::format(" ({} resources)", local->resources) : "",
                  run.workspace.value));
}

Task<Result<runner::Assignment>> AssignmentSource::assign(Run run, std::string directory) {
  co_return co_await offload_.run([this, run = std::move(run), directory = std::move(directory)] {
    return gather(run, directory);
  });
}

Result<runner::Assignment> AssignmentSource::gather(const Run& run,
                                                    const std::string& directory) const {
  auto parsed = parse_workspace(run.workspace, run.definition.config,
                                fmt::format("workspaces/{}/config.json", run.workspace.value));
  if (!parsed) return std::unexpected(parsed.error());
  const auto facts = scan(runner::AttemptDirectory{directory}.content());
  if (!facts) return std::unexpected(facts.error());
  const auto search = tofu::find_binary(settings_.tofu.binary, path_of(environment_));
  if (!search.found) return std::unexpected(search.found.error());

  if (auto known = check_local_state(run, directory, *facts); !known) {
    return std::unexpected(known.error());
  }

  AssignmentInputs inputs;
  inputs.run = run;
  inputs.spec = std::move(parsed->spec);
  inputs.content.variables = facts->variables;
  inputs.content.own_backend = facts->keeps_own_state();
  inputs.content.init_fingerprint =
      fmt::format("{} {}", run.definition.bundle.value, identity_of(search.found->path));
  inputs.binary = search.found->path.string();
  inputs.settings = &settings_;
  inputs.environment = &environment_;
  inputs.secrets = {&environment_, settings_.workspaces_dir / run.workspace.value, read_file,
                    whose_};
  return make_assignment(inputs);
}

}  // namespace provisioner::execution
