#include "templates/git_address.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/text.hpp"

namespace provisioner {
namespace {

constexpr std::size_t kLongest = 2000;

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorKind::kInvalid, std::move(message));
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c != 0x7f; });
}

// Without what stands before the last '@' of the host.
std::string without_credentials(std::string_view text) {
  const auto begin = text.find("://");
  const auto host = begin == std::string_view::npos ? 0 : begin + 3;
  const auto slash = text.find('/', host);
  const auto at = text.substr(0, slash).rfind('@');
  if (at == std::string_view::npos || at < host) return std::string(text);
  return fmt::format("{}***{}", text.substr(0, host), text.substr(at));
}

struct Authority {
  std::string_view user, host;
};
Authority split_authority(std::string_view text) {
  const auto at = text.rfind('@');
  if (at == std::string_view::npos) return {.user = "", .host = text};
  return {.user = text.substr(0, at), .host = text.substr(at + 1)};
}

Status check_host(std::string_view host) {
  const bool good = !host.empty() && host.front() != '-' && host.front() != ':' &&
                    std::ranges::all_of(host, [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' ||
                             c == ':' || c == '[' || c == ']';
                    });
  if (good) return {};
  return invalid(fmt::format("\"{}\" is no host", host));
}

Status check_user(std::string_view user) {
  const bool good = !user.empty() && user.front() != '-' && std::ranges::all_of(user, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
  if (good) return {};
  return invalid("the part before '@' is no user name");
}

std::unexpected<Error> holds_credentials(std::string_view text) {
  return invalid(fmt::format(
      "{} holds credentials, which would be stored and shown: leave them out, and give them to git "
      "where the daemon's user keeps them (a credential helper, ~/.netrc, an ssh key)",
      without_credentials(text)));
}

Result<GitAddress> parse_https(std::string_view text, std::string_view rest) {
  const auto slash = rest.find('/');
  const Authority authority = split_authority(rest.substr(0, slash));
  // One word before the '@' is a token as often as a name.
  if (authority.host.size() != rest.substr(0, slash).size()) return holds_credentials(text);
  if (auto good = check_host(authority.host); !good) return std::unexpected(good.error());
  if (slash == std::string_view::npos || slash + 1 == rest.size()) {
    return invalid(fmt::format("{} names a host, but no repository", text));
  }
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return invalid("the URL has a part after '?' or '#': write the repository's URL alone");
  }
  return GitAddress{.url = std::string(text), .host = std::string(authority.host)};
}

Result<GitAddress> parse_ssh(std::string_view text, Authority authority, std::string_view path) {
  if (authority.user.contains(':')) return holds_credentials(text);
  if (!authority.user.empty()) {
    if (auto good = check_user(authority.user); !good) return std::unexpected(good.error());
  }
  if (auto good = check_host(authority.host); !good) return std::unexpected(good.error());
  // ssh would read a path that begins so as an option of the program it starts.
  if (path.empty() || path == "/" || path.front() == '-') {
    return invalid(fmt::format("{} names a host, but no repository", without_credentials(text)));
  }
  return GitAddress{.url = std::string(text), .host = std::string(authority.host)};
}

Result<GitAddress> parse_file(std::string_view text, std::string_view rest) {
  if (!rest.starts_with('/')) {
    return invalid(
        fmt::format("{} is not an absolute path: write file:///path/to/repository", text));
  }
  if (rest.size() == 1) return invalid(fmt::format("{} names no repository", text));
  return GitAddress{.url = std::string(text), .host = ""};
}

Result<GitAddress> parse_other(std::string_view scheme) {
  constexpr std::string_view kAllowed = "https, ssh and file are possible";
  if (scheme == "http" || scheme == "git") {
    return invalid(
        fmt::format("{}:// is read and changed by anybody on the way: {}", scheme, kAllowed));
  }
  return invalid(fmt::format("{} is no transport for templates: {}", scheme, kAllowed));
}

}  // namespace

Result<GitAddress> parse_git_url(std::string_view text) {
  if (text.empty()) return invalid("the URL of the Git repository is missing");
  if (text.size() > kLongest) return invalid("the URL is too long");
  if (!is_printable(text)) return invalid("the URL contains spaces or control characters");
  if (text.front() == '-') return invalid("the URL begins with '-'");
  // "ext::sh -c ..." and other remote helpers.
  if (const auto helper = text.find("::");
      helper != std::string_view::npos && text.find('/') > helper && text.find('[') > helper) {
    return parse_other(text.substr(0, helper));
  }
  if (const auto mark = text.find("://"); mark != std::string_view::npos) {
    const auto scheme = text.substr(0, mark);
    const auto rest = text.substr(mark + 3);
    if (scheme == "https") return parse_https(text, rest);
    if (scheme == "file") return parse_file(text, rest);
    if (scheme != "ssh") return parse_other(scheme);
    const auto slash = rest.find('/');
    return parse_ssh(text, split_authority(rest.substr(0, slash)),
                     slash == std::string_view::npos ? "" : rest.substr(slash));
  }
  const auto colon = text.find(':');
  const auto slash = text.find('/');
  if (colon == std::string_view::npos || slash < colon) {
    std::error_code ignored;
    const auto absolute = std::filesystem::absolute(text, ignored).lexically_normal();
    return invalid(fmt::format(
        "{} has no scheme: for a repository on the daemon's machine write file://{}",
        without_credentials(text), text.starts_with('/') ? std::string(text) : absolute.string()));
  }
  return parse_ssh(text, split_authority(text.substr(0, colon)), text.substr(colon + 1));
}

namespace {

Result<std::string> checked_path(std::string_view text) {
  if (text.starts_with('/') && text.size() > 1) {
    return invalid(
        fmt::format("path {} is absolute: it begins at the top of the repository, such "
                    "as {}",
                    text, text.substr(text.find_first_not_of('/'))));
  }
  std::vector<std::string> parts;
  for (const auto part : split(text, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return invalid(fmt::format("path {} leaves the repository", text));
    if (part == ".git") return invalid(fmt::format("path {} is Git's own", text));
    parts.emplace_back(part);
  }
  const bool has_control =
      std::ranges::any_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
  if (has_control || text.size() > kLongest) return invalid("the path is none");
  return join(parts, "/");
}

// git-check-ref-format(1), so far as it matters here.
Status check_ref(std::string_view ref) {
  const bool good = ref.size() <= 250 && is_printable(ref) && ref.front() != '-' &&
                    ref.front() != '/' && ref.back() != '/' && ref.back() != '.' &&
                    ref.find_first_of("~^:?*[\\") == std::string_view::npos &&
                    !ref.contains("..") && !ref.contains("//") && !ref.contains("@{") &&
                    !ref.ends_with(".lock");
  if (good) return {};
  return invalid(fmt::format("\"{}\" can be no branch, tag or commit", ref));
}

}  // namespace

Result<TemplateSource> checked_source(const TemplateSource& source) {
  const auto address = parse_git_url(source.url);
  if (!address) return std::unexpected(address.error());
  auto path = checked_path(source.path);
  if (!path) return std::unexpected(path.error());
  if (!source.ref.empty()) {
    if (auto good = check_ref(source.ref); !good) return std::unexpected(good.error());
  }
  return TemplateSource{.url = address->url, .path = *std::move(path), .ref = source.ref};
}

std::string shown(const TemplateSource& source) {
  std::string text = source.url;
  if (!source.path.empty() || !source.ref.empty()) {
    text += fmt::format(" ({}{}{})", source.path,
                        source.path.empty() || source.ref.empty() ? "" : ", ", source.ref);
  }
  return text;
}

}  // namespace provisioner
