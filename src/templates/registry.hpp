// What people do with templates.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "model/template.hpp"
#include "runtime/clock.hpp"
#include "runtime/task.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"
#include "templates/fetcher.hpp"

namespace provisioner {

// Whose fault a refusal is: the source's, or anything else's (the name, the store).
struct TemplateFailure {
  Error error;
  bool of_source = false;
};

// Absent = as it is.
struct TemplateChanges {
  std::optional<std::string> url, path, ref, description;
};

struct TemplateUpdate {
  Template row;
  bool content_changed = false;
};

// What a look at the source found.
struct TemplateVerdict {
  Template row;
  std::string problem;    // "" = it could be stored as it is
  std::string commit;     // that the ref names now; "" = not known
  bool is_newer = false;  // the source has another content than the store
};

// A source that cannot be reached or is refused changes nothing. Loop only.
class TemplateRegistry {
 public:
  TemplateRegistry(Store& store, Clock& clock, Logger log, Fetcher& fetcher)
      : store_(store), clock_(clock), log_(std::move(log)), fetcher_(fetcher) {}

  template <typename T>
  using Outcome = std::expected<T, TemplateFailure>;

  // kConflict: the name is taken.
  Task<Outcome<Template>> add(TemplateName name, TemplateSource source, std::string description);

  // Fetches what the ref names now. kVersionConflict: somebody changed it meanwhile, to something
  // else.
  Task<Outcome<TemplateUpdate>> update(TemplateName name, TemplateChanges changes);

  // Fetches and checks, and keeps nothing. Only what concerns the template itself is an error.
  Task<Outcome<TemplateVerdict>> validate(TemplateName name);

 private:
  Task<Outcome<TemplateUpdate>> store_update(Template before, Template wanted);

  Store& store_;
  Clock& clock_;
  Logger log_;
  Fetcher& fetcher_;
};

}  // namespace provisioner
