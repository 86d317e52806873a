#include "bench/system/shared/api.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <stdexcept>
#include <utility>

#include "http/client.hpp"
#include "http/event_stream.hpp"
#include "tests/support/run_task.hpp"

namespace provisioner::bench {
namespace {

constexpr Duration kPatience = std::chrono::seconds(60);

http::Response expect_good(const http::Request& request, Result<http::Response> response) {
  const std::string what = request.method + " " + request.target + ": ";
  if (!response) throw std::runtime_error(what + response.error().message);
  if (response->status >= 300) throw std::runtime_error(what + response->body);
  return std::move(*response);
}

}  // namespace

struct Api::Connection {
  explicit Connection(const std::filesystem::path& path)
      : socket(http::Endpoint::unix_socket(path.string())), client(loop.get_executor(), socket) {}

  http::Response send(const http::Request& request) {
    return expect_good(request, testing::run_task(loop, client.send(request, kPatience)));
  }

  boost::asio::io_context loop;
  http::Endpoint socket;
  http::Client client;
};

Api::Api(const std::filesystem::path& socket) : connection_(std::make_unique<Connection>(socket)) {}
Api::~Api() = default;

Json Api::get(const std::string& target) {
  return Json::parse(connection_->send({.target = target}).body);
}

Json Api::post(const std::string& target, const Json& body) {
  http::Request request{.method = "POST", .target = target, .body = body.dump()};
  request.headers["Content-Type"] = "application/json";
  return Json::parse(connection_->send(request).body);
}

bool Api::answers() {
  const http::Request request{.target = "/api/v1/leadership"};
  const auto response =
      testing::run_task(connection_->loop, connection_->client.send(request, kPatience));
  return response && response->status == 200;
}

std::string Api::deploy(const std::string& workspace) {
  return post("/api/v1/workspaces/" + workspace + "/deploy").at("id");
}

Json Api::follow(const std::string& run) {
  const http::Request request{.target = "/api/v1/runs/" + run + "/log?follow=true",
                              .headers = {{"Accept", "text/event-stream"}}};
  http::EventStreamParser parser;
  Json ended;
  const auto take = [&](std::string_view chunk) {
    return parser.feed(chunk, [&](std::string_view name, std::string_view, std::string_view data) {
      if (name != "end") return true;
      ended = Json::parse(data);
      return false;
    });
  };
  // A connection of its own: stopping the stream closes it.
  http::Client stream(connection_->loop.get_executor(), connection_->socket);
  const auto response =
      testing::run_task(connection_->loop, stream.stream(request, kPatience, take));
  if (!ended.is_object()) {
    throw std::runtime_error("following " + run + ": " +
                             (response ? response->body : response.error().message));
  }
  return ended;
}

}  // namespace provisioner::bench
