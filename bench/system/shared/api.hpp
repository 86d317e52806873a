// The API of an installation's daemon over its unix socket, one blocking call after the other. What
// is measured through it has no process start of a command line in it.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace provisioner::bench {

using Json = nlohmann::json;

// All functions throw with the daemon's words when it refuses or cannot be reached.
class Api {
 public:
  explicit Api(const std::filesystem::path& socket);
  ~Api();

  Json get(const std::string& target);
  Json post(const std::string& target, const Json& body = Json::object());

  // Whether somebody answers.
  bool answers();

  // Asks for a deploy; the run's id.
  std::string deploy(const std::string& workspace);
  // Follows the run's log, as the command line does, until the daemon says that it has ended. The
  // run as it is then.
  Json follow(const std::string& run);

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace provisioner::bench
