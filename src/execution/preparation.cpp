#include "execution/preparation.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "config/bundle.hpp"

namespace provisioner::execution {
namespace {

namespace fs = std::filesystem;

Status failed(std::string_view doing, const fs::path& path, const std::error_code& error) {
  return fail_errno(fmt::format("{} {}", doing, path.string()), error.value());
}

// What cannot be listed is not there to be swept.
std::vector<fs::path> folders_in(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code vanished;
    if (it->is_directory(vanished) && !it->is_symlink(vanished)) found.push_back(it->path());
  }
  return found;
}

}  // namespace

Status prepare_attempt(const runner::AttemptDirectory& directory, const AttemptNote& note,
                       std::string_view bundle, std::string_view lock_file) {
  if (auto removed = remove_attempt_directory(directory); !removed) return removed;
  const fs::path unpacked = directory.root / "bundle";
  std::error_code error;
  fs::create_directories(unpacked, error);
  if (error) return failed("creating", unpacked, error);
  fs::permissions(directory.root, fs::perms::owner_all, error);
  if (error) return failed("protecting", directory.root, error);

  nlohmann::ordered_json json;
  json["workspace"] = note.workspace.value;
  if (!note.job.empty()) json["job"] = note.job.value;
  json["run"] = note.fence.run.value;
  json["attempt"] = note.fence.attempt.value;
  json["claim"] = note.fence.claim.value;
  json["base_state"] = note.base_state;
  if (auto ok = runner::write_whole(directory.note(), json.dump()); !ok) return ok;

  const auto folder = unpack_bundle(bundle, unpacked);
  if (!folder) return fail("unpacking the workspace's content", folder.error());
  if (*folder == unpacked) {
    fs::rename(unpacked, directory.content(), error);
  } else {
    // Relative, so that the directory may be moved aside as a whole.
    fs::create_directory_symlink(folder->lexically_relative(directory.root), directory.content(),
                                 error);
  }
  if (error) return failed("naming", directory.content(), error);
  if (lock_file.empty()) return {};
  return runner::write_whole(directory.content() / ".terraform.lock.hcl", lock_file);
}

Result<AttemptNote> read_attempt_note(const runner::AttemptDirectory& directory) {
  const fs::path file = directory.note();
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail_errno(fmt::format("opening {}", file.string()), errno);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  try {
    const auto json = nlohmann::json::parse(text);
    AttemptNote note;
    note.workspace = WorkspaceName(json.at("workspace").get<std::string>());
    note.job = JobName(json.value("job", std::string()));
    note.fence.run = RunId(json.at("run").get<std::string>());
    note.fence.attempt = Attempt(json.at("attempt").get<std::int64_t>());
    note.fence.claim = ClaimId(json.at("claim").get<std::string>());
    note.base_state = json.at("base_state").get<std::int64_t>();
    return note;
  } catch (const nlohmann::json::exception& e) {
    return fail(ErrorKind::kCorrupt, fmt::format("{}: {}", file.string(), e.what()));
  }
}

std::vector<runner::AttemptDirectory> find_attempt_directories(const fs::path& state_dir) {
  std::vector<runner::AttemptDirectory> found;
  for (const auto& workspace : folders_in(state_dir / "work")) {
    for (auto& folder : folders_in(workspace / "attempts")) found.push_back({std::move(folder)});
  }
  return found;
}

Status remove_attempt_directory(const runner::AttemptDirectory& directory) {
  std::error_code error;
  fs::remove_all(directory.root, error);
  if (error) return failed("removing", directory.root, error);
  return {};
}

}  // namespace provisioner::execution
