#include "http/tls.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <ctime>
#include <fstream>

namespace provisioner::http {
namespace {

namespace ssl = boost::asio::ssl;

bool is_address(const std::string& host) {
  unsigned char scratch[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, host.c_str(), scratch) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), scratch) == 1;
}

class OpenSslStream final : public TlsStream {
 public:
  OpenSslStream(Socket& socket, ssl::context& context, TlsRole role, std::string peer, bool verify)
      : stream_(socket, context), role_(role), peer_(std::move(peer)) {
    if (role_ != TlsRole::kClient) return;
    // An address cannot be asked for by name (RFC 6066, section 3).
    if (!is_address(peer_)) SSL_set_tlsext_host_name(stream_.native_handle(), peer_.c_str());
    if (!verify) return;
    boost::system::error_code cannot_fail;
    stream_.set_verify_callback(ssl::host_name_verification(peer_), cannot_fail);
  }

  Task<Status> handshake() override {
    boost::system::error_code error;
    co_await stream_.async_handshake(
        role_ == TlsRole::kClient ? ssl::stream_base::client : ssl::stream_base::server,
        boost::asio::redirect_error(boost::asio::use_awaitable, error));
    if (!error) co_return Status();
    if (error == boost::asio::error::operation_aborted) {
      co_return fail(ErrorKind::kCancelled, "TLS: cancelled");
    }
    const long verdict = SSL_get_verify_result(stream_.native_handle());
    if (role_ == TlsRole::kClient && verdict != X509_V_OK) {
      // OpenSSL's own callback rejects without a code of its own when only the name is wrong.
      co_return fail(ErrorKind::kUnavailable,
                     fmt::format("TLS: the certificate of {} is not accepted: {}", peer_,
                                 X509_verify_cert_error_string(verdict)));
    }
    if (role_ == TlsRole::kClient && is_bad_certificate(error)) {
      co_return fail(ErrorKind::kUnavailable,
                     fmt::format("TLS: the certificate is not for {}", peer_));
    }
    co_return fail(ErrorKind::kUnavailable, "TLS: " + error.message());
  }

  Task<std::size_t> read_some(boost::asio::mutable_buffer to,
                              boost::system::error_code& error) override {
    co_return co_await stream_.async_read_some(
        to, boost::asio::redirect_error(boost::asio::use_awaitable, error));
  }

  Task<std::size_t> write_some(boost::asio::const_buffer from,
                               boost::system::error_code& error) override {
    co_return co_await stream_.async_write_some(
        from, boost::asio::redirect_error(boost::asio::use_awaitable, error));
  }

  Task<> close() override {
    // The error would say that the peer is gone already.
    (void)co_await stream_.async_shutdown(boost::asio::as_tuple(boost::asio::use_awaitable));
  }

 private:
  static bool is_bad_certificate(const boost::system::error_code& error) {
    return ERR_GET_REASON(static_cast<unsigned long>(error.value())) ==
           SSL_R_CERTIFICATE_VERIFY_FAILED;
  }

  ssl::stream<Socket&> stream_;
  TlsRole role_;
  std::string peer_;
};

class OpenSslContext final : public TlsContext {
 public:
  OpenSslContext(TlsRole role, bool verify)
      : role_(role), verify_(verify), context_(ssl::context::tls) {}

  Status load(const TlsSettings& settings) {
    SSL_CTX_set_min_proto_version(context_.native_handle(), TLS1_2_VERSION);
    if (auto trusted = trust(settings); !trusted) return trusted;
    if (settings.cert.empty() != settings.key.empty()) {
      return fail(ErrorKind::kInvalid, "TLS: a certificate and its key are needed together");
    }
    if (settings.cert.empty()) {
      if (role_ == TlsRole::kServer) {
        return fail(ErrorKind::kInvalid, "TLS: a server needs a certificate and its key");
      }
      return {};
    }
    if (auto there = readable(settings.cert); !there) return there;
    if (auto there = readable(settings.key); !there) return there;
    boost::system::error_code error;
    context_.use_certificate_chain_file(settings.cert.string(), error);
    if (error) return wrong(settings.cert, "is no certificate in PEM", error);
    context_.use_private_key_file(settings.key.string(), ssl::context::pem, error);
    if (error) return wrong(settings.key, "is no key of that certificate in PEM", error);
    return {};
  }

  std::optional<Instant> expires_at() const override {
    const X509* const own = SSL_CTX_get0_certificate(context_.native_handle());
    std::tm at{};
    if (own == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(own), &at) != 1) return std::nullopt;
    return Instant(std::chrono::seconds(::timegm(&at)));
  }

  std::unique_ptr<TlsStream> wrap(TlsStream::Socket& socket,
                                  const std::string& peer) const override {
    return std::make_unique<OpenSslStream>(socket, context_, role_, peer, verify_);
  }

 private:
  Status trust(const TlsSettings& settings) {
    boost::system::error_code error;
    if (!settings.ca.empty()) {
      if (auto there = readable(settings.ca); !there) return there;
      context_.load_verify_file(settings.ca.string(), error);
      if (error) return wrong(settings.ca, "holds no certificate in PEM", error);
    } else if (role_ == TlsRole::kClient) {
      context_.set_default_verify_paths(error);
      if (error) return fail(ErrorKind::kIo, "TLS: the system's authorities: " + error.message());
    }
    ssl::verify_mode mode = ssl::verify_none;
    if (settings.verify && role_ == TlsRole::kClient) mode = ssl::verify_peer;
    if (settings.verify && role_ == TlsRole::kServer && !settings.ca.empty()) {
      mode = ssl::verify_peer | ssl::verify_fail_if_no_peer_cert;
    }
    context_.set_verify_mode(mode, error);
    return {};
  }

  static Status readable(const std::filesystem::path& file) {
    errno = 0;
    if (std::ifstream(file).good()) return {};
    return fail_errno(fmt::format("TLS: opening {}", file.string()), errno);
  }

  static std::unexpected<Error> wrong(const std::filesystem::path& file, std::string_view what,
                                      const boost::system::error_code& error) {
    return fail(ErrorKind::kInvalid,
                fmt::format("TLS: {} {} ({})", file.string(), what, error.message()));
  }

  TlsRole role_;
  bool verify_;
  // A stream takes the context by a reference it may change; OpenSSL only counts its users.
  mutable ssl::context context_;
};

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::make(TlsRole role,
                                                           const TlsSettings& settings) {
  auto context = std::make_shared<OpenSslContext>(role, settings.verify);
  if (auto loaded = context->load(settings); !loaded) return std::unexpected(loaded.error());
  return context;
}

}  // namespace provisioner::http
