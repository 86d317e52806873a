#include "store/copy/copy_mark.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>

namespace provisioner {

std::filesystem::path CopyMark::file_in(const std::filesystem::path& state_dir) {
  return state_dir / "provisioner.db.copied";
}

Result<std::optional<CopyMark>> CopyMark::read(const std::filesystem::path& state_dir) {
  const auto file = file_in(state_dir);
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    if (error) return fail_errno(fmt::format("reading {}", file.string()), error.value());
    return std::nullopt;
  }
  std::ifstream stream(file);
  const auto json = nlohmann::json::parse(stream, nullptr, false);
  if (!json.is_object() || !json.contains("id") || !json.contains("to")) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("{} cannot be understood: see where the store was copied to before you "
                            "delete it",
                            file.string()));
  }
  return CopyMark{.id = json.value("id", ""),
                  .target = json.value("to", ""),
                  .at = json.value("at", ""),
                  .done = json.value("done", false)};
}

Status CopyMark::write(const std::filesystem::path& state_dir) const {
  const auto file = file_in(state_dir);
  const auto fresh = file.string() + ".new";
  const std::string text =
      nlohmann::json{{"id", id}, {"to", target}, {"at", at}, {"done", done}}.dump(2) + "\n";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno(fmt::format("writing {}", fresh), errno);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  const int why = errno;
  ::close(fd);
  if (!written) return fail_errno(fmt::format("writing {}", fresh), why);
  if (::rename(fresh.c_str(), file.c_str()) != 0) {
    return fail_errno(fmt::format("writing {}", file.string()), errno);
  }
  // The name, too.
  const int directory = ::open(state_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0 || ::fsync(directory) != 0) {
    const int error = errno;
    if (directory >= 0) ::close(directory);
    return fail_errno(fmt::format("writing {}", state_dir.string()), error);
  }
  ::close(directory);
  return {};
}

Status CopyMark::remove(const std::filesystem::path& state_dir) {
  std::error_code error;
  std::filesystem::remove(file_in(state_dir), error);
  if (error) {
    return fail_errno(fmt::format("removing {}", file_in(state_dir).string()), error.value());
  }
  return {};
}

Status refuse_copied(const std::filesystem::path& state_dir) {
  const auto mark = CopyMark::read(state_dir);
  if (!mark) return std::unexpected(mark.error());
  if (!*mark) return {};
  const auto file = CopyMark::file_in(state_dir);
  if ((*mark)->done) {
    return fail(ErrorKind::kConflict,
                fmt::format("the store of {} was copied to {} at {}: set database.host, so that "
                            "this daemon joins that cluster. To go back to this store, see that no "
                            "daemon works on the copy, and delete {}",
                            state_dir.string(), (*mark)->target, (*mark)->at, file.string()));
  }
  return fail(
      ErrorKind::kConflict,
      fmt::format("a copy of the store of {} to {} was cut off at {}, when all but its last "
                  "step was done: run 'provisioner migrate copy' again, or delete {} after "
                  "you have seen that the database is empty",
                  state_dir.string(), (*mark)->target, (*mark)->at, file.string()));
}

}  // namespace provisioner
