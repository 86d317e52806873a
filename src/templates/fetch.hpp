// From a source to its content.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/time.hpp"
#include "config/bundle.hpp"
#include "config/environment.hpp"
#include "model/template.hpp"
#include "templates/git_process.hpp"

namespace provisioner {

struct FetchRequest {
  TemplateSource source;      // checked_source()
  std::string unless_commit;  // its content is known; "" = fetch in any case
};

struct Fetched {
  std::string commit;
  std::optional<Bundle> bundle;  // absent: it is `unless_commit`
};

struct FetchPlace {
  std::filesystem::path scratch;  // exists; each fetch has a folder in it, gone at its end
  Environment environment;        // the daemon's
  Duration patience;              // of one fetch
  std::shared_ptr<const StopFlag> stop;
};

// Blocking; several may run at a time. Errors say what the source is, and are for people: kTimeout,
// kUnavailable (the host cannot be reached), kCancelled (stopped), kDenied (the source wants to
// know who asks, or does not let the daemon's user in), kInvalid (nothing such there, or its
// content is refused), kNotFound (there is no git), kIo.
Result<Fetched> fetch(const FetchRequest& request, const FetchPlace& place);

}  // namespace provisioner
