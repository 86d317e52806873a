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
#include "runner/log_spool.hpp"
#include "tofu/binary.hpp"
#include "tofu/digest.hpp"
#include "tofu/hcl_scanner.hpp"
#include "tofu/init_basis.hpp"
#include "tofu/state_body.hpp"
#include "tofu/variables.hpp"

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

struct Scanned {
  tofu::ContentFacts facts;
  std::optional<std::string> init_basis;  // absent: init may depend on anything
};

// The workspace's own files; what it includes are modules with variables of their own.
Result<Scanned> scan(const fs::path& content) {
  std::vector<std::pair<std::string, std::string>> texts;
  bool init_reads_more = false;
  std::error_code error;
  for (fs::directory_iterator it(content, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    init_reads_more = init_reads_more || tofu::adds_to_init(name);
    if (!tofu::is_content_file(name) || name == tofu::kOverrideFile) continue;
    std::ifstream in(it->path(), std::ios::binary);
    if (!in) return fail_errno(fmt::format("reading {}", it->path().string()), errno);
    texts.emplace_back(std::move(name), std::string(std::istreambuf_iterator<char>(in), {}));
  }
  if (error) return fail_errno(fmt::format("reading {}", content.string()), error.value());
  std::vector<tofu::ContentFile> files;
  for (const auto& [name, text] : texts) files.push_back({name, text});
  auto facts = tofu::scan_content(files);
  if (!facts) return std::unexpected(facts.error());
  Scanned scanned{std::move(*facts), std::nullopt};
  if (!init_reads_more) scanned.init_basis = tofu::init_basis(files);
  return scanned;
}

// Another binary under the same name, after an upgrade of the package, needs another init.
std::string identity_of(const fs::path& binary) {
  struct stat file{};
  if (stat(binary.c_str(), &file) != 0) return binary.string();
  return fmt::format("{} {} {}.{:09}", binary.string(), file.st_size, file.st_mtim.tv_sec,
                     file.st_mtim.tv_nsec);
}

// A digest, because the environment may hold secrets and the cache keeps it.
std::string init_fingerprint(const std::string& content, const fs::path& binary,
                             const runner::Assignment& assignment) {
  const auto& environment = assignment.environment;
  std::string all = fmt::format("{}\n{}\n{}\n{}\n", content, identity_of(binary),
                                tofu::override_file_text(), assignment.plugin_cache_directory);
  for (const auto& [name, value] : environment) {
    const bool of_plans = name.starts_with("TF_VAR_") || name.starts_with("TF_LOG") ||
                          name.starts_with("TF_CLI_ARGS_plan") ||
                          name.starts_with("TF_CLI_ARGS_apply");
    const bool of_tofu = name.starts_with("TF_") || name.starts_with("TOFU_") || name == "HOME" ||
                         name == "XDG_CONFIG_HOME";
    if (of_tofu && !of_plans) all += fmt::format("{}={}\n", name, value);
  }
  if (const auto own = environment.find("TF_CLI_CONFIG_FILE"); own != environment.end()) {
    all += identity_of(own->second);
  }
  if (const auto home = environment.find("HOME"); home != environment.end()) {
    for (const char* name : {".terraformrc", ".tofurc", ".config/opentofu/tofurc"}) {
      all += identity_of(fs::path(home->second) / name) + "\n";
    }
  }
  return tofu::sha256_hex(all);
}

// A folder for PATH in which the binary is called tofu, whatever its own name. The runs of all
// workspaces share it: it is named after what it points at, and never changes.
Result<fs::path> directory_of_link(const fs::path& state_dir, const fs::path& binary) {
  fs::path directory = state_dir / "tofu" / tofu::sha256_hex(binary.string()).substr(0, 16) / "bin";
  const fs::path link = directory / "tofu";
  std::error_code error;
  if (fs::read_symlink(link, error) == binary) return directory;
  fs::create_directories(directory, error);
  fs::create_symlink(binary, link, error);
  if (fs::read_symlink(link, error) == binary) return directory;  // another was as quick
  return fail(ErrorKind::kIo,
              fmt::format("{} does not lead to {}: remove it", link.string(), binary.string()));
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
  if (run.operation != Operation::kDeploy || !run.job.empty() || facts.keeps_own_state()) return {};
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

Task<std::function<std::string(std::string)>> AssignmentSource::masking(Workspace workspace) {
  auto masks = co_await offload_.run(
      [this, workspace = std::move(workspace)] { return this->masks(workspace); });
  co_return [masks = runner::Masks(std::move(masks))](std::string text) {
    return masks.apply(std::move(text));
  };
}

std::vector<std::string> AssignmentSource::masks(const Workspace& workspace) const {
  const SecretSources sources = {&environment_, settings_.workspaces_dir / workspace.name.value,
                                 read_file, whose_};
  std::vector<std::string> secrets;
  const auto add = [&](const Definition& definition) {
    const auto parsed = parse_workspace(workspace.name, definition.config, "config.json");
    if (!parsed) return;  // said where it is used
    std::ranges::move(readable_secrets(parsed->spec.variables, sources),
                      std::back_inserter(secrets));
    std::ranges::move(readable_secrets(parsed->spec.environment, sources),
                      std::back_inserter(secrets));
    for (const JobSpec& job : parsed->spec.jobs) {
      std::ranges::move(readable_secrets(job.environment, sources), std::back_inserter(secrets));
    }
  };
  add(workspace.current);
  if (workspace.deployed && workspace.deployed->config != workspace.current.config) {
    add(*workspace.deployed);
  }
  return masks_of(secrets);
}

// Needs no tofu: where there is one, the job finds it first on PATH.
Result<runner::Assignment> AssignmentSource::gather_for_job(const Run& run,
                                                            WorkspaceSpec spec) const {
  AssignmentInputs inputs;
  inputs.run = run;
  inputs.spec = std::move(spec);
  inputs.settings = &settings_;
  inputs.environment = &environment_;
  inputs.secrets = {&environment_, settings_.workspaces_dir / run.workspace.value, read_file,
                    whose_};
  const auto search = tofu::find_binary(settings_.tofu.binary, path_of(environment_));
  if (search.found) inputs.binary = search.found->path.string();
  auto assignment = make_assignment(inputs);
  if (!assignment || !search.found) return assignment;
  const auto link = directory_of_link(settings_.state_dir, search.found->path);
  if (!link) return std::unexpected(link.error());
  assignment->binary_directory = link->string();
  return assignment;
}

Result<runner::Assignment> AssignmentSource::gather(const Run& run,
                                                    const std::string& directory) const {
  auto parsed = parse_workspace(run.workspace, run.definition.config,
                                fmt::format("workspaces/{}/config.json", run.workspace.value));
  if (!parsed) return std::unexpected(parsed.error());
  if (run.operation == Operation::kJob) return gather_for_job(run, std::move(parsed->spec));
  const auto scanned = scan(runner::AttemptDirectory{directory}.content());
  if (!scanned) return std::unexpected(scanned.error());
  const auto search = tofu::find_binary(settings_.tofu.binary, path_of(environment_));
  if (!search.found) return std::unexpected(search.found.error());

  if (auto known = check_local_state(run, directory, scanned->facts); !known) {
    return std::unexpected(known.error());
  }

  AssignmentInputs inputs;
  inputs.run = run;
  inputs.spec = std::move(parsed->spec);
  inputs.content.variables = scanned->facts.variables;
  inputs.content.own_backend = scanned->facts.keeps_own_state();
  inputs.binary = search.found->path.string();
  inputs.settings = &settings_;
  inputs.environment = &environment_;
  inputs.secrets = {&environment_, settings_.workspaces_dir / run.workspace.value, read_file,
                    whose_};
  const auto link = directory_of_link(settings_.state_dir, search.found->path);
  if (!link) return std::unexpected(link.error());
  auto assignment = make_assignment(inputs);
  if (assignment) {
    assignment->binary_directory = link->string();
    // A plan that asks for init after all is mended by the runner; a person's commands are not.
    const bool by_commands = inputs.spec.commands != CustomCommands{};
    const auto& basis = scanned->init_basis;
    assignment->init_fingerprint = init_fingerprint(
        basis && !by_commands ? "basis\n" + *basis : "bundle " + run.definition.bundle.value,
        search.found->path, *assignment);
  }
  return assignment;
}

}  // namespace provisioner::execution
