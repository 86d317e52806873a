// An installation of the file-based version on its way into the store, and what becomes of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "model/job.hpp"
#include "model/template.hpp"
#include "model/tofu_state.hpp"
#include "model/workspace.hpp"

namespace provisioner {

struct Publication;

struct ImportedState {
  StateMeta meta;
  std::string body;
};

// A template's row, not stored before, and its content. One of that name that is there stays.
struct ImportedTemplate {
  Template row;
  std::string content;  // of its bundle
};

// One workspace as it is to be afterwards. Its publication stands beside it (store.hpp).
struct ImportedWorkspace {
  std::string bundle;  // the content of the publication's bundle
  // Whether what is deployed is the publication's content. Else nobody has that content any more,
  // and the next deploy counts as one of something new.
  bool has_content = true;
  bool detached = false;
  WorkspaceStatus status = WorkspaceStatus::kPending;
  std::string mode;
  std::optional<Instant> last_deployed, last_destroyed;
  std::string last_deploy_error, last_destroy_error;
  std::string hold_reason;  // "" = it is not held
  std::string lock_file;    // "" = none
  std::optional<ImportedState> state;
  std::vector<Job> jobs;  // how they fared; what they are, the configuration says
};

enum class ImportFate {
  kAdded,
  kChanged,    // an earlier import had it otherwise
  kUnchanged,  // an earlier import had it like this
  kKept,       // this version has worked on it since: it stays as it is
};
std::string_view to_string(ImportFate fate);  // "added", ...

struct ImportOutcome {
  WorkspaceName workspace;
  ImportFate fate = ImportFate::kAdded;
  std::string reason;  // of kKept
};

// Who wrote the states and holds of an import.
inline constexpr std::string_view kImporter = "import";

// What the import makes of a workspace that was just published. A hold of an earlier import ends
// when its reason is gone; one that a person has ended does not come back while nothing else is
// new.
Workspace after_import(const Workspace& published, const ImportedWorkspace& imported);

// A workspace without a folder that is there already, detached: nothing would be published anew.
bool is_published(const Workspace& before, const Definition& definition,
                  const ImportedWorkspace& imported);

// Whether an import says something else than what is there, holds aside.
bool changes_anything(const Workspace& before, const Workspace& after);

// The job's row with what was imported of it; a row that is there keeps its definition.
Job after_import(const std::optional<Job>& before, const Job& imported);

// Why an import does not touch a workspace; "" when it may. `state` is the current version.
std::string kept_by_import(bool has_runs, const std::optional<StateVersion>& state,
                           const ImportedWorkspace& imported);

}  // namespace provisioner
