#include "http/parser.hpp"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

namespace provisioner::http {
namespace beast = boost::beast;

constexpr std::size_t kShortestBodyEnd = std::string_view("0\r\n\r\n").size();

struct Parser::Impl {
  Impl(Limits l, Sink s) : limits(l), sink(std::move(s)) {}
  virtual ~Impl() = default;
  virtual void expect_no_body() = 0;
  virtual std::size_t put(std::string_view bytes, boost::system::error_code& error) = 0;
  virtual void put_end(boost::system::error_code& error) = 0;
  virtual bool started() const = 0;
  virtual bool head_done() const = 0;
  virtual bool done() const = 0;
  virtual bool keep_alive() const = 0;

  void add_body(std::string_view piece) {
    if (sink) {
      sink(piece);
    } else {
      (request ? request->body : response->body).append(piece);
    }
  }

  // Whether what comes next is the header of a chunk, the last one's trailer included.
  bool expects_chunk_header() const { return is_chunked && chunk_left == 0; }

  Limits limits;
  Sink sink;
  bool is_chunked = false;
  std::uint64_t chunk_left = 0;
  bool http_10 = false;
  std::optional<Request> request;
  std::optional<Response> response;
};

template <bool is_request>
struct Parser::Reader final : Parser::Impl, beast::http::basic_parser<is_request> {
  using Base = beast::http::basic_parser<is_request>;
  using ErrorCode = beast::error_code;

  Reader(Limits l, Sink s) : Impl(l, std::move(s)) {
    Base::eager(true);
    Base::header_limit(static_cast<std::uint32_t>(limits.header_bytes));
    if (sink) {
      Base::body_limit(boost::none);
    } else {
      Base::body_limit(limits.body_bytes);
    }
    if constexpr (is_request) {
      request.emplace();
    } else {
      response.emplace();
    }
  }

  void expect_no_body() override { Base::skip(true); }
  std::size_t put(std::string_view bytes, ErrorCode& error) override {
    return Base::put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  }
  void put_end(ErrorCode& error) override { Base::put_eof(error); }
  bool started() const override { return Base::got_some(); }
  bool head_done() const override { return Base::is_header_done(); }
  bool done() const override { return Base::is_done(); }
  bool keep_alive() const override { return Base::keep_alive(); }

  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target,
                       int version, ErrorCode&) override {
    request->method = std::string(method);
    request->target = std::string(target);
    http_10 = version < 11;
  }
  void on_response_impl(int code, beast::string_view, int version, ErrorCode&) override {
    response->status = code;
    http_10 = version < 11;
  }
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                     ErrorCode&) override {
    auto& headers = request ? request->headers : response->headers;
    auto [it, inserted] = headers.emplace(std::string(name), std::string(value));
    if (!inserted) it->second.append(", ").append(value.data(), value.size());
  }
  void on_header_impl(ErrorCode&) override { is_chunked = Base::chunked(); }
  void on_body_init_impl(boost::optional<std::uint64_t> const& length, ErrorCode&) override {
    // The length is the peer's claim: memory follows what really arrives.
    if (length && !sink) {
      (request ? request->body : response->body)
          .reserve(static_cast<std::size_t>(std::min<std::uint64_t>(*length, 1u << 20)));
    }
  }
  std::size_t on_body_impl(beast::string_view body, ErrorCode&) override {
    add_body({body.data(), body.size()});
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t size, beast::string_view, ErrorCode&) override {
    chunk_left = size;
  }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, ErrorCode&) override {
    add_body({body.data(), body.size()});
    chunk_left -= body.size();
    return body.size();
  }
  void on_finish_impl(ErrorCode&) override {}
};

namespace {

ParseFailure describe(const boost::system::error_code& error, const Parser::Limits& limits) {
  if (error == beast::http::error::header_limit) {
    return {431, fmt::format("the header is longer than {} bytes", limits.header_bytes)};
  }
  if (error == beast::http::error::body_limit) {
    return {413, fmt::format("the body is longer than {} bytes", limits.body_bytes)};
  }
  return {400, fmt::format("not a valid HTTP message: {}", error.message())};
}

}  // namespace

Parser::Parser(Kind kind, Limits limits, Sink sink) {
  if (kind == Kind::kRequest) {
    impl_ = std::make_unique<Reader<true>>(limits, std::move(sink));
  } else {
    impl_ = std::make_unique<Reader<false>>(limits, std::move(sink));
  }
}

Parser::~Parser() = default;
Parser::Parser(Parser&&) noexcept = default;

void Parser::expect_no_body() { impl_->expect_no_body(); }

std::expected<std::size_t, ParseFailure> Parser::put(std::string_view bytes) {
  // Beast 1.81 asserts that it gets no fewer bytes here once it has seen the last chunk's first
  // line, which may arrive alone. No body ends with fewer.
  if (impl_->expects_chunk_header() && bytes.size() < kShortestBodyEnd) return 0;
  boost::system::error_code error;
  const std::size_t used = impl_->put(bytes, error);
  if (error && error != beast::http::error::need_more) {
    return std::unexpected(describe(error, impl_->limits));
  }
  // Lines inside a chunked body have no limit in Beast.
  if (used == 0 && bytes.size() > impl_->limits.header_bytes) {
    return std::unexpected(ParseFailure{400, "a line of the body's framing is too long"});
  }
  return used;
}

std::expected<void, ParseFailure> Parser::put_end() {
  boost::system::error_code error;
  impl_->put_end(error);
  if (error) return std::unexpected(describe(error, impl_->limits));
  return {};
}

bool Parser::started() const { return impl_->started(); }
bool Parser::head_done() const { return impl_->head_done(); }
bool Parser::done() const { return impl_->done(); }
bool Parser::keep_alive() const { return impl_->keep_alive(); }
bool Parser::is_http_10() const { return impl_->http_10; }
Request& Parser::request() { return *impl_->request; }
Response& Parser::response() { return *impl_->response; }

}  // namespace provisioner::http
