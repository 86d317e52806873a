#include "cli/remove_command.hpp"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/exit_code.hpp"
#include "cli/listing.hpp"
#include "cli/operate.hpp"
#include "cli/terminal.hpp"
#include "config/settings.hpp"
#include "runtime/clock.hpp"

namespace provisioner::cli {
namespace {

namespace fs = std::filesystem;

struct RemoveOptions {
  std::string workspace;
  bool destroy = false, abandon = false, with_folder = false;
};

// The folder of the workspace on this machine, if there is one.
Result<std::optional<fs::path>> folder_of(const std::string& workspace) {
  const auto loaded = load_settings(process_setting_sources({}));
  if (!loaded) return std::unexpected(loaded.error());
  fs::path folder = loaded->settings.workspaces_dir / workspace;
  std::error_code none;
  if (!fs::exists(fs::symlink_status(folder, none))) return std::nullopt;
  return folder;
}

// Hidden folders are no workspaces.
fs::path place_aside(const fs::path& folder) {
  boost::asio::io_context unused_loop;
  std::string at = format_rfc3339(SystemClock(unused_loop.get_executor()).now());
  std::erase(at, ':');
  return folder.parent_path() / ".removed" / fmt::format("{}.{}", folder.filename().string(), at);
}

Status move(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (!error) fs::rename(from, to, error);
  if (error) {
    return fail_errno(fmt::format("moving {} to {}", from.string(), to.string()), error.value());
  }
  return {};
}

struct Known {
  std::string status;  // "" when the daemon does not know it
  bool detached = false;
};
Result<Known> look_at(ApiClient& api, const std::string& workspace) {
  const auto shown = api.get(workspace_path(workspace));
  if (!shown && shown.error().kind == ErrorKind::kNotFound) return Known();
  if (!shown) return std::unexpected(shown.error());
  const auto row = nlohmann::json::parse(*shown);
  return Known{.status = row.value("status", ""), .detached = row.value("detached", false)};
}

Result<std::string> forget(ApiClient& api, const RemoveOptions& options) {
  return api.send("DELETE",
                  workspace_path(options.workspace, options.abandon ? "?abandon=true" : ""));
}

// The daemon looks, and then forgets. What it refuses to forget keeps its folder.
Result<fs::path> remove_with_folder(ApiClient& api, const RemoveOptions& options,
                                    const fs::path& folder, bool is_known) {
  fs::path aside = place_aside(folder);
  if (auto moved = move(folder, aside); !moved) return std::unexpected(moved.error());
  Status done;
  if (const auto looked = api.send("POST", "/api/v1/reload", "{}"); !looked) {
    done = std::unexpected(looked.error());
  } else if (is_known) {
    if (const auto forgotten = forget(api, options); !forgotten) {
      done = std::unexpected(forgotten.error());
    }
  }
  if (done) return aside;
  if (auto back = move(aside, folder); !back) return fail(done.error().message, back.error());
  return std::unexpected(done.error());
}

bool may_have_resources(const std::string& status) {
  return !status.empty() && status != "pending" && status != "destroyed";
}

void remove(Session& session, const RemoveOptions& options) {
  if (!session.yes &&
      !confirm(fmt::format("Forget workspace {} with its history and state?", options.workspace))) {
    session.code = kUsage;
    return;
  }
  const auto stop = [&](const Error& error) { session.code = report(error); };
  auto api = session.api();
  if (!api) return stop(api.error());
  std::optional<fs::path> folder;
  if (options.with_folder) {
    auto found = folder_of(options.workspace);
    if (!found) return stop(found.error());
    folder = std::move(*found);
  }
  const auto known = look_at(**api, options.workspace);
  if (!known) return stop(known.error());
  const std::string& status = known->status;
  if (folder && may_have_resources(status) && !options.destroy && !options.abandon) {
    return stop({ErrorKind::kConflict,
                 fmt::format("workspace {} is {}: say --destroy to destroy it first, or --abandon "
                             "to leave what is deployed to itself",
                             options.workspace, status)});
  }
  // Nothing is destroyed for a removal that would be refused.
  if (options.destroy && may_have_resources(status) && (folder || known->detached)) {
    operate(session, {.workspace = options.workspace, .queue = true}, "destroy");
    if (session.code != kDone) return;
  }
  fs::path aside;
  if (folder) {
    auto moved = remove_with_folder(**api, options, *folder, !status.empty());
    if (!moved) return stop(moved.error());
    aside = std::move(*moved);
  } else if (const auto forgotten = forget(**api, options); !forgotten) {
    return stop(forgotten.error());
  }
  const nlohmann::json answer = {
      {"name", options.workspace},
      {"removed", true},
      {"folder", aside.empty() ? nlohmann::json() : nlohmann::json(aside.string())}};
  if (session.printed(answer.dump())) return;
  fmt::print("workspace {} is removed\n", options.workspace);
  if (!aside.empty()) fmt::print("its folder is now {}\n", aside.string());
}

}  // namespace

void add_remove_command(CLI::App& noun, Session& session) {
  auto* command = noun.add_subcommand(
      "remove", "forget a workspace whose folder is gone; refuses while something is deployed");
  auto options = std::make_shared<RemoveOptions>();
  options->with_folder = session.old_name;
  add_workspace_argument(*command, options->workspace)->required();
  auto* destroy =
      command->add_flag("--destroy", options->destroy, "destroy what is deployed first");
  command->add_flag("--abandon", options->abandon, "leave what is deployed to itself")
      ->excludes(destroy);
  command->add_flag("--with-folder", options->with_folder,
                    "first move its folder on this machine to workspaces/.removed");
  command->add_flag("--force", session.yes, "the same as --yes");
  add_yes_option(*command, session);
  add_output_option(*command, session);
  command->callback([options, &session] { remove(session, *options); });
}

}  // namespace provisioner::cli
