#include "templates/remote_refs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace provisioner {
namespace {

constexpr std::string_view kBranches = "refs/heads/", kTags = "refs/tags/", kPeeled = "^{}";

bool is_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) && is_hex(text);
}

const RemoteRef* find(const std::vector<RemoteRef>& refs, const std::string& name) {
  const auto found = std::ranges::find(refs, name, &RemoteRef::name);
  return found == refs.end() ? nullptr : &*found;
}

std::unexpected<Error> unknown_ref(const std::vector<RemoteRef>& refs, const std::string& wanted) {
  constexpr std::size_t kMost = 8;
  std::vector<std::string_view> names;
  for (const RemoteRef& ref : refs) {
    for (const auto prefix : {kBranches, kTags}) {
      if (ref.name.starts_with(prefix)) {
        names.push_back(std::string_view(ref.name).substr(prefix.size()));
      }
    }
  }
  std::string near(nearest(wanted, names));
  std::string hint;
  if (!near.empty()) {
    hint = fmt::format("; did you mean {}?", near);
  } else if (!names.empty()) {
    const bool all = names.size() <= kMost;
    names.resize(std::min(names.size(), kMost));
    hint = fmt::format("; it has {}{}", fmt::join(names, ", "), all ? "" : " and others");
  }
  return fail(ErrorKind::kInvalid,
              fmt::format("\"{}\" is neither a branch, a tag nor a commit there{}", wanted, hint));
}

}  // namespace

std::vector<RemoteRef> parse_remote_refs(std::string_view printed) {
  std::vector<RemoteRef> refs;
  for (const auto line : split(printed, '\n')) {
    const auto tab = line.find('\t');
    if (tab == std::string_view::npos || !is_id(line.substr(0, tab))) continue;
    std::string_view name = line.substr(tab + 1);
    const std::string commit(line.substr(0, tab));
    if (name.ends_with(kPeeled)) {
      name.remove_suffix(kPeeled.size());
      if (!refs.empty() && refs.back().name == name) refs.back().commit = commit;
    } else {
      refs.push_back({.name = std::string(name), .commit = commit});
    }
  }
  return refs;
}

Result<RefChoice> choose_ref(const std::vector<RemoteRef>& refs, const std::string& wanted) {
  if (refs.empty()) return fail(ErrorKind::kInvalid, "the repository is empty");
  if (wanted.empty()) {
    const RemoteRef* head = find(refs, "HEAD");
    if (head == nullptr) {
      return fail(ErrorKind::kInvalid,
                  "the repository's HEAD names no branch: say which ref is wanted");
    }
    return RefChoice{.fetch = "HEAD", .commit = head->commit};
  }
  for (const std::string& name : {std::string(kBranches) + wanted, std::string(kTags) + wanted,
                                  wanted.starts_with("refs/") ? wanted : std::string()}) {
    const RemoteRef* ref = name.empty() ? nullptr : find(refs, name);
    if (ref != nullptr) return RefChoice{.fetch = ref->name, .commit = ref->commit};
  }
  if (is_id(wanted)) return RefChoice{.fetch = wanted, .commit = wanted};
  constexpr std::size_t kShortest = 7;
  if (wanted.size() >= kShortest && wanted.size() < 64 && is_hex(wanted)) {
    return RefChoice{.fetch = wanted, .commit = "", .abbreviated = true};
  }
  return unknown_ref(refs, wanted);
}

}  // namespace provisioner
