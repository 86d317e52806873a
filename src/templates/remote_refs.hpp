// What a ref names at the source. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace provisioner {

struct RemoteRef {
  std::string name;    // "HEAD", "refs/heads/main", "refs/tags/v1.0"
  std::string commit;  // of an annotated tag, what it tags
};

// What `git ls-remote` prints. Lines that are none are left out.
std::vector<RemoteRef> parse_remote_refs(std::string_view printed);

struct RefChoice {
  std::string fetch;         // what to ask the source for: a ref's full name or a commit's id
  std::string commit;        // "" = known once it was fetched
  bool abbreviated = false;  // the beginning of an id, which no source can be asked for
};

// `wanted`: "" is HEAD; a branch comes before a tag of the same name, as with `git clone`, and both
// before the id of a commit. kInvalid when the source has nothing such, with what is near.
Result<RefChoice> choose_ref(const std::vector<RemoteRef>& refs, const std::string& wanted);

}  // namespace provisioner
