// tofu <workspace> -- <arguments>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <exception>
#include <fstream>
#include <iostream>
#include <optional>
#include <utility>

#include "cli/exit_code.hpp"
#include "cli/foreground.hpp"
#include "cli/session.hpp"
#include "cli/tofu_relay.hpp"
#include "cli/tofu_workspace.hpp"
#include "config/environment.hpp"
#include "config/settings.hpp"
#include "execution/assignment_source.hpp"
#include "runtime/offload.hpp"
#include "runtime/random.hpp"
#include "tofu/command_line.hpp"
#include "tofu/variables.hpp"

namespace provisioner::cli {
namespace {

struct Order {
  WorkspaceName workspace;
  std::vector<std::string> arguments;
};

// tofu asks this often, a second apart, while the daemon is away: long enough for its restart.
constexpr const char* kRetries = "60";

// The user's environment, without what would lead tofu to another state than ours.
Settings settings_of_a_person(Settings settings) {
  settings.environment.pass = {"*"};
  return settings;
}

// Held during init, as runs do: two at a time would write the same provider. Without the daemon's
// lock, or the right to take it, the shared cache is left alone.
class PluginCache {
 public:
  explicit PluginCache(const std::filesystem::path& directory) {
    if (directory.empty()) return;
    const std::string lock = (directory / ".provisioner.lock").string();
    fd_ = open(lock.c_str(), O_RDWR | O_CLOEXEC);
    while (fd_ >= 0 && flock(fd_, LOCK_EX) != 0) {
      if (errno == EINTR) continue;
      close(fd_);
      fd_ = -1;
    }
  }
  PluginCache(const PluginCache&) = delete;
  PluginCache& operator=(const PluginCache&) = delete;
  ~PluginCache() {
    if (fd_ >= 0) close(fd_);
  }
  bool is_held() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Absent: done. Else init's exit code, its output was printed.
Task<Result<std::optional<int>>> init(const TofuWorkspace& place,
                                      const runner::Assignment& assignment,
                                      std::map<std::string, std::string> environment,
                                      const PluginCache& cache) {
  if (cache.is_held()) environment["TF_PLUGIN_CACHE_DIR"] = assignment.plugin_cache_directory;
  ForegroundCommand command{
      {assignment.binary}, std::move(environment), place.content(), place.root() / "init.log"};
  for (auto& word : tofu::init_arguments({.own_backend = !assignment.own_backend})) {
    command.words.push_back(std::move(word));
  }
  const std::filesystem::path log = command.output;
  const auto code = co_await run_in_foreground(std::move(command));
  if (!code) co_return std::unexpected(code.error());
  if (*code == 0) co_return std::nullopt;
  if (std::ifstream output(log); output.peek() != std::ifstream::traits_type::eof()) {
    std::cerr << output.rdbuf();
  }
  fmt::print(stderr, "provisioner: init failed with exit code {}\n", *code);
  co_return *code;
}

Task<Result<int>> work(const Order& order, Session& session, TofuRelay& relay) {
  auto loaded = load_settings(process_setting_sources({}));
  if (!loaded) co_return std::unexpected(loaded.error());
  const Settings settings = settings_of_a_person(std::move(loaded->settings));
  auto api = session.api();
  if (!api) co_return std::unexpected(api.error());
  const auto fetched = fetch_workspace(**api, order.workspace);
  if (!fetched) co_return std::unexpected(fetched.error());
  // Before there is a directory: whoever loses patience while a run holds it leaves nothing behind.
  std::optional<PluginCache> cache(std::in_place, settings.tofu.plugin_cache);
  auto place = TofuWorkspace::make(*fetched);
  if (!place) co_return std::unexpected(place.error());

  Offload offload(1);
  const Environment own = process_environment();
  execution::AssignmentSource source(settings, own, offload, "this command's environment");
  Run run;
  run.workspace = order.workspace;
  run.mode = fetched->mode;
  run.definition = fetched->definition;
  const auto assignment = co_await source.assign(std::move(run), place->root().string());
  if (!assignment) co_return std::unexpected(assignment.error());
  if (auto ok = place->complete(assignment->variables, assignment->own_backend); !ok) {
    co_return std::unexpected(ok.error());
  }

  auto environment = assignment->environment;
  environment["CHECKPOINT_DISABLE"] = "1";
  environment["WORKSPACE_DEPLOYMENT_DIR"] = place->content().string();
  if (!assignment->own_backend) {
    const auto access = relay.start();
    if (!access) co_return std::unexpected(access.error());
    for (auto& [name, value] : tofu::backend_environment(*access)) environment[name] = value;
    environment["TF_HTTP_RETRY_MAX"] = kRetries;
  }
  const auto not_initialised = co_await init(*place, *assignment, environment, *cache);
  cache.reset();
  if (!not_initialised) co_return std::unexpected(not_initialised.error());
  if (*not_initialised) co_return kFailed;

  ForegroundCommand command{{assignment->binary}, std::move(environment), place->content(), {}};
  command.words.insert(command.words.end(), order.arguments.begin(), order.arguments.end());
  const auto code = co_await run_in_foreground(std::move(command));
  if (const auto left = place->errored_state(); !left.empty()) {
    place->keep();
    const std::string mend =
        assignment->own_backend
            ? fmt::format("push it with `provisioner tofu {} -- state push {}`",
                          order.workspace.value, left.string())
            : fmt::format("when the daemon is well again, run `provisioner state push {} {}`",
                          order.workspace.value, left.string());
    fmt::print(
        stderr,
        "provisioner: tofu could not save its state, which is kept in {}: {} and remove {}\n",
        left.string(), mend, place->root().string());
  }
  co_return code;
}

int run_tofu(const Order& order, Session& session) {
  auto daemon = find_api(session.environment, session.remote);
  if (!daemon) return report(daemon.error());
  boost::asio::io_context loop(1);
  SystemRandom random;
  // Outlives the loop's last step: a request may still be under way when tofu is gone.
  TofuRelay relay(loop.get_executor(), std::move(*daemon), order.workspace, random);
  std::optional<Result<int>> code;
  std::exception_ptr bug;
  boost::asio::co_spawn(
      loop, [&]() -> Task<> { code = co_await work(order, session, relay); },
      [&](std::exception_ptr thrown) {
        bug = thrown;
        loop.stop();
      });
  loop.run();
  if (bug) std::rethrow_exception(bug);
  return *code ? **code : report(code->error());
}

}  // namespace

void add_tofu_command(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand(
      "tofu", "run tofu on a workspace by hand, in a private copy of what was deployed");
  struct Words {
    std::string workspace;
    std::vector<std::string> arguments;
  };
  auto words = std::make_shared<Words>();
  add_workspace_argument(*command, words->workspace)->required();
  command->add_option("arguments", words->arguments, "what tofu gets, after --")->type_name("");
  command->footer(
      "Reads and writes the workspace's state in the store, locked against runs; every access is\n"
      "audited. Secrets among the variables come from this command's own environment and files.\n"
      "Exits with tofu's exit code. For root and the daemon's user, or over https with a token of "
      "role admin.\n\n"
      "Examples:\n"
      "  provisioner tofu shop -- state list\n"
      "  provisioner tofu shop -- plan\n"
      "  provisioner tofu shop -- apply -target=aws_instance.web\n"
      "  provisioner tofu shop -- import aws_s3_bucket.logs my-logs");
  command->callback([words, &session] {
    if (words->arguments.empty()) {
      session.code = report({ErrorKind::kInvalid,
                             fmt::format("say what tofu is to do, such as: provisioner tofu {} -- "
                                         "state list",
                                         words->workspace)});
      return;
    }
    session.code = run_tofu({WorkspaceName(words->workspace), words->arguments}, session);
  });
}

}  // namespace provisioner::cli
