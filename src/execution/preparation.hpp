// Makes the directory of an attempt (runner/attempt_directory.hpp) before its guard is started, and
// finds it again. Beside what the runner keeps there:
//
//   attempt.json  who it belongs to, with the claim (0600), so that a later daemon can sweep it.
//   The
//                 runner brings it to disk before its first state: until then a crash of the
//                 machine leaves nothing that would need it.
//   content/      the unpacked content, tofu's working directory. With what the workspace includes
//                 that is bundle/, and content a link to the workspace's own folder in it.
//
// Everything here blocks: call it behind Offload.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "runner/attempt_directory.hpp"

namespace provisioner::execution {

struct AttemptNote {
  WorkspaceName workspace;
  JobName job = {};  // "" = the workspace itself
  AttemptFence fence = {};
  std::int64_t base_state = 0;  // number of the state version that the attempt began with
};

// Makes the directory (0700), unpacks `bundle` into it and restores `lock_file` if it is not empty.
// A directory that is there already (of a claim whose daemon died before it spawned) is begun anew.
Status prepare_attempt(const runner::AttemptDirectory& directory, const AttemptNote& note,
                       std::string_view bundle, std::string_view lock_file);

// kNotFound when the directory or its note is missing, kCorrupt when the note cannot be read.
Result<AttemptNote> read_attempt_note(const runner::AttemptDirectory& directory);

// All attempts' directories of this instance, begun ones without a note included.
std::vector<runner::AttemptDirectory> find_attempt_directories(
    const std::filesystem::path& state_dir);

// Removes it with everything in it. The caller has swept it (recovery.hpp).
Status remove_attempt_directory(const runner::AttemptDirectory& directory);

}  // namespace provisioner::execution
