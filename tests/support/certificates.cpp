#include "tests/support/certificates.hpp"

#include <stdexcept>
#include <vector>

#include "tests/support/program.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::testing {
namespace {

void openssl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "openssl");
  const Finished finished = run_program(arguments);
  if (finished.code != 0) throw std::runtime_error(arguments[1] + ": " + finished.err);
}

}  // namespace

Authority::Authority(std::filesystem::path directory) : directory_(std::move(directory)) {
  std::filesystem::create_directories(directory_);
  openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
           "-days", "30", "-subj", "/CN=authority of a test", "-keyout", directory_ / "ca.key",
           "-out", ca()});
}

http::TlsSettings Authority::issue(const std::string& name, const std::string& names,
                                   int days) const {
  const auto cert = directory_ / (name + ".pem");
  const auto key = directory_ / (name + ".key");
  const auto request = directory_ / (name + ".csr");
  const auto extensions = directory_ / (name + ".ext");
  write_file(extensions, "subjectAltName=" + names + "\nextendedKeyUsage=serverAuth,clientAuth\n");
  openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
           "/CN=" + name, "-keyout", key, "-out", request});
  openssl({"x509", "-req", "-in", request, "-CA", ca(), "-CAkey", directory_ / "ca.key", "-days",
           std::to_string(days), "-extfile", extensions, "-out", cert});
  return {.ca = ca(), .cert = cert, .key = key};
}

}  // namespace provisioner::testing
