// One request to a daemon, over its unix socket.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "http/message.hpp"

namespace provisioner::testing {

// Status 0, and why as the body, when nobody answered in time. Thread-safe.
http::Response ask(const std::filesystem::path& state_dir, std::string method, std::string target,
                   std::string body = "",
                   std::chrono::milliseconds patience = std::chrono::seconds(5));
http::Response ask(const std::filesystem::path& state_dir, http::Request request,
                   std::chrono::milliseconds patience);

}  // namespace provisioner::testing
