// Whatever a peer sends, parsing it ends in a value or a problem, and the same bytes in other
// pieces mean the same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/parser.hpp"
#include "server/body.hpp"
#include "server/log_reader.hpp"
#include "server/routes.hpp"

namespace {

using namespace provisioner;

struct Read {
  int status = -1;  // of a refusal; 0 complete; -1 incomplete
  std::string text;
};

Read read_request(std::string_view bytes, std::size_t piece) {
  http::Parser parser(http::Parser::Kind::kRequest, {.header_bytes = 4096, .body_bytes = 65536});
  std::string unread;
  for (std::size_t at = 0; at < bytes.size() && !parser.done(); at += piece) {
    unread.append(bytes.substr(at, piece));
    const auto used = parser.put(unread);
    if (!used) return {used.error().status, ""};
    unread.erase(0, *used);
  }
  const http::Request& request = parser.request();
  if (!parser.done()) return {};
  return {0, request.method + "\n" + request.target + "\n" + request.body};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Read whole = read_request(bytes, size + 1);
  const Read single = read_request(bytes, 1);
  if (whole.status == 0 && single.status == 0 && whole.text != single.text) std::abort();

  http::Request request;
  request.target = std::string(bytes.substr(0, 512));
  request.body = std::string(bytes);
  (void)request.path();
  (void)request.query("after");
  (void)server::find_route("GET", request.target);
  (void)server::LogPosition::parse(bytes);
  static constexpr std::string_view kFields[] = {"mode", "queue", "to"};
  if (const auto body = server::CommandBody::parse(request, kFields)) {
    (void)body->text("mode");
    (void)body->flag("queue");
    (void)body->integer("to");
  } else {
    (void)server::render(body.error());
  }
  return 0;
}
