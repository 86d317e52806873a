// What may name a source. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "model/template.hpp"

namespace provisioner {

struct GitAddress {
  std::string url;   // as git takes it
  std::string host;  // "github.com", "git.example.org:8443"; "" = this machine
};

// https://host/path, ssh://[user@]host[:port]/path, user@host:path, file:///path. kInvalid says
// what to write instead: for other transports, paths without a scheme, and credentials, which it
// does not repeat.
Result<GitAddress> parse_git_url(std::string_view text);

// The source in one spelling: "web" for "./web/", "" for ".". kInvalid: a URL as above, a path that
// leaves the repository, what no ref can be.
Result<TemplateSource> checked_source(const TemplateSource& source);

// For messages: "https://example.org/infra (web, v1.0)".
std::string shown(const TemplateSource& source);

}  // namespace provisioner
