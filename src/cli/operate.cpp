#include "cli/operate.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "cli/follow_run.hpp"
#include "cli/terminal.hpp"
#include "http/message.hpp"

namespace provisioner::cli {

std::string workspace_path(const std::string& workspace, std::string_view rest) {
  return fmt::format("/api/v1/workspaces/{}{}", http::encode_component(workspace), rest);
}

void operate(Session& session, const OperationOptions& options, std::string_view verb) {
  if (verb == "destroy" && !session.yes &&
      !confirm(fmt::format("Destroy everything in workspace {}?", options.workspace))) {
    session.code = kUsage;
    return;
  }
  nlohmann::json body = nlohmann::json::object();
  if (!options.mode.empty()) body["mode"] = options.mode;
  if (options.queue) body["queue"] = true;
  if (options.upgrade) body["upgrade"] = true;

  start_run(session, workspace_path(options.workspace, fmt::format("/{}", verb)), body.dump(),
            options.detach);
}

void start_run(Session& session, const std::string& target, const std::string& body, bool detach) {
  auto api = session.api();
  auto answer =
      api ? (*api)->send("POST", target, body) : Result<std::string>(std::unexpected(api.error()));
  if (!answer) {
    session.code = report(answer.error());
    return;
  }
  const std::string id = nlohmann::json::parse(*answer)["id"];
  if (detach) {
    if (!session.printed(*answer)) fmt::print("{}\n", id);
    return;
  }
  fmt::print(stderr, "run {}\n", id);
  session.code = follow_run(session, id);
}

}  // namespace provisioner::cli
