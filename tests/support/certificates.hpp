// A certificate authority of the test's own.
#pragma once

#include <filesystem>
#include <string>

#include "http/tls.hpp"

namespace provisioner::testing {

// Makes its files below `directory`, by openssl(1).
class Authority {
 public:
  explicit Authority(std::filesystem::path directory);

  std::filesystem::path ca() const { return directory_ / "ca.pem"; }

  // A certificate of this authority, for `names` as openssl writes them ("DNS:localhost,
  // IP:127.0.0.1"), good as a server's and as a client's; with `ca` it trusts its own kind.
  // It ends after so many days; -1: it has ended yesterday.
  http::TlsSettings issue(const std::string& name,
                          const std::string& names = "DNS:localhost,IP:127.0.0.1",
                          int days = 30) const;

 private:
  std::filesystem::path directory_;
};

}  // namespace provisioner::testing
