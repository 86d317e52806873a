// What of the daemon's environment a child may see.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace provisioner {

using Environment = std::map<std::string, std::string>;

// This process's.
Environment process_environment();

// PATH, HOME, USER, LANG, TMPDIR, SSL_CERT_*, *_PROXY, SSH_AUTH_SOCK, and what matches one of
// `pass` ("AWS_*", "HOME"; `*` stands for any text). Never the daemon's own credentials and
// settings, whatever `pass` says, and never what would change how tofu is called (TF_HTTP_*,
// TF_WORKSPACE, TF_DATA_DIR, TF_CLI_ARGS*).
Environment child_environment(const Environment& own, std::span<const std::string> pass);

// The default of environment.pass.
std::vector<std::string> default_pass_patterns();

// `*` in `pattern` stands for any text, everything else for itself.
bool matches_name(std::string_view pattern, std::string_view name);

}  // namespace provisioner
