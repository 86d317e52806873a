#include "runner/attempt_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace provisioner::runner {

namespace fs = std::filesystem;

AttemptDirectory AttemptDirectory::of(const fs::path& state_directory,
                                      const WorkspaceName& workspace, const RunId& run,
                                      Attempt attempt) {
  return {state_directory / "work" / workspace.value / "attempts" /
          fmt::format("{}-{}", run.value, attempt.value)};
}

fs::path AttemptDirectory::state(std::int64_t number) const {
  return root / fmt::format("state-{:06}.json", number);
}

fs::path cache_directory(const fs::path& state_directory, const StateSlot& slot) {
  const auto work = state_directory / "work" / slot.workspace.value;
  return slot.job.empty() ? work / "cache" : work / "jobs" / slot.job / "cache";
}

Result<std::optional<ExitRecord>> read_exit_record(const AttemptDirectory& directory) {
  const fs::path path = directory.exit_record();
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (errno == ENOENT) return std::nullopt;
    return fail_errno("reading " + path.string(), errno);
  }
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object() || !json.contains("cause") ||
      !json["cause"].is_string()) {
    return fail(ErrorKind::kCorrupt, fmt::format("{} is no exit record", path.string()));
  }
  const auto number = [&](const char* name) -> std::optional<std::int64_t> {
    if (!json.contains(name) || !json[name].is_number_integer()) return std::nullopt;
    return json[name].get<std::int64_t>();
  };
  ExitRecord record;
  record.cause = json["cause"].get<std::string>();
  if (const auto code = number("runner_exit")) record.runner_exit = static_cast<int>(*code);
  if (const auto signal = number("runner_signal")) record.runner_signal = static_cast<int>(*signal);
  record.kills = number("kills").value_or(0);
  record.at = from_micros(number("at_us").value_or(0));
  return record;
}

std::vector<fs::path> unacknowledged_states(const AttemptDirectory& directory) {
  std::vector<fs::path> states;
  std::error_code absent_is_empty;
  for (const auto& entry : fs::directory_iterator(directory.root, absent_is_empty)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("state-") && name.ends_with(".json")) states.push_back(entry.path());
  }
  std::sort(states.begin(), states.end());
  for (auto it = fs::recursive_directory_iterator(directory.content(), absent_is_empty);
       it != fs::recursive_directory_iterator(); it.increment(absent_is_empty)) {
    if (it->path().filename() == ".terraform") it.disable_recursion_pending();
    if (it->path().filename() == "errored.tfstate") states.push_back(it->path());
  }
  return states;
}

namespace {

Status sync(const fs::path& path, int flags) {
  const int fd = open(path.c_str(), flags | O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno("opening " + path.string(), errno);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  if (error != 0) return fail_errno("writing " + path.string() + " to disk", error);
  return {};
}

Status write_and_rename(const fs::path& path, std::string_view text, bool durably) {
  const std::string temporary = path.string() + ".new";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno("creating " + temporary, errno);
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      close(fd);
      return fail_errno("writing " + temporary, error);
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  const int synced = !durably || fsync(fd) == 0 ? 0 : errno;
  close(fd);
  if (synced != 0) return fail_errno("writing " + temporary + " to disk", synced);
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    return fail_errno("renaming " + temporary, errno);
  }
  return durably ? sync(path.parent_path(), O_DIRECTORY) : Status();
}

}  // namespace

Status write_whole(const fs::path& path, std::string_view text) {
  return write_and_rename(path, text, false);
}

Status write_durably(const fs::path& path, std::string_view text) {
  return write_and_rename(path, text, true);
}

Status make_durable(const fs::path& path) { return sync(path, 0); }

}  // namespace provisioner::runner
