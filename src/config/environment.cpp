#include "config/environment.hpp"

#include <unistd.h>

#include <algorithm>

namespace provisioner {
namespace {

constexpr std::string_view kAlways[] = {"PATH",   "HOME",       "USER",    "LANG",
                                        "TMPDIR", "SSL_CERT_*", "*_PROXY", "SSH_AUTH_SOCK",
                                        "*_proxy"};  // curl and git read the lower case

constexpr std::string_view kNever[] = {
    "TF_HTTP_*",     "TF_WORKSPACE",   "TF_DATA_DIR",   "TF_CLI_ARGS*",
    "PROVISIONER_*", "DATABASE_*",     "ETCD_*",        "CONSUL_HTTP_*",
    "REDIS_*",       "INSTANCE_ID",    "NOTIFY_SOCKET", "LISTEN_FDS",
    "LISTEN_PID",    "LISTEN_FDNAMES", "WATCHDOG_*",    "CREDENTIALS_DIRECTORY"};

template <typename Patterns>
bool matches_any(const Patterns& patterns, std::string_view name) {
  return std::ranges::any_of(patterns,
                             [&](const auto& pattern) { return matches_name(pattern, name); });
}

}  // namespace

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

Environment child_environment(const Environment& own, std::span<const std::string> pass) {
  Environment child;
  for (const auto& [name, value] : own) {
    if (matches_any(kNever, name)) continue;
    if (matches_any(kAlways, name) || matches_any(pass, name)) child.emplace(name, value);
  }
  return child;
}

std::vector<std::string> default_pass_patterns() {
  return {"AWS_*",        "ARM_*",    "AZURE_*", "GOOGLE_*", "GCLOUD_*",
          "CLOUDSDK_*",   "KUBE*",    "HELM_*",  "VAULT_*",  "DIGITALOCEAN_*",
          "HCLOUD_*",     "OCI_*",    "OS_*",    "GITHUB_*", "GITLAB_*",
          "CLOUDFLARE_*", "DOCKER_*", "TF_*",    "TOFU_*"};
}

bool matches_name(std::string_view pattern, std::string_view name) {
  const auto star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  if (!name.starts_with(pattern.substr(0, star))) return false;
  const auto rest = pattern.substr(star + 1);
  for (auto from = star; from <= name.size(); ++from) {
    if (matches_name(rest, name.substr(from))) return true;
  }
  return false;
}

}  // namespace provisioner
