#include "execution/workspace_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>

#include "base/text.hpp"

namespace provisioner::execution {
namespace {

namespace fs = std::filesystem;

std::string local_stamp(Instant at) {
  const time_t seconds = std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count();
  tm local{};
  localtime_r(&seconds, &local);
  return fmt::format("{:04}/{:02}/{:02} {:02}:{:02}:{:02}", local.tm_year + 1900, local.tm_mon + 1,
                     local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
}

fs::path numbered(const fs::path& file, int number) {
  return number == 0 ? file : fs::path(fmt::format("{}.{}", file.string(), number));
}

// The oldest goes, each other moves one up. A missing one in between is no error.
void rotate(const fs::path& file, int files) {
  std::error_code missing;
  fs::remove(numbered(file, files - 1), missing);
  for (int number = files - 1; number > 0; --number) {
    fs::rename(numbered(file, number - 1), numbered(file, number), missing);
  }
}

Status append_to(const fs::path& file, std::string_view text) {
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return fail_errno(fmt::format("opening {}", file.string()), errno);
  int error = 0;
  while (!text.empty() && error == 0) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  close(fd);
  if (error != 0) return fail_errno(fmt::format("writing {}", file.string()), error);
  return {};
}

}  // namespace

WorkspaceLog::WorkspaceLog(fs::path directory, Logger log, WorkspaceLogLimits limits)
    : directory_(std::move(directory)), log_(std::move(log)), limits_(limits) {}

WorkspaceLog::~WorkspaceLog() { writer_.join(); }

void WorkspaceLog::write(const WorkspaceName& workspace, Instant at, std::string subject,
                         std::string text) {
  const fs::path file = directory_ / (workspace.value + ".log");
  boost::asio::post(writer_,
                    [this, file, at, subject = std::move(subject), text = std::move(text)] {
                      const std::string prefix = fmt::format("{} {}: ", local_stamp(at), subject);
                      std::string lines;
                      std::string_view rest = text;
                      if (rest.ends_with('\n')) rest.remove_suffix(1);
                      for (const auto line : split(rest, '\n')) {
                        lines += prefix;
                        lines += line;
                        lines += '\n';
                      }
                      append(file, lines);
                    });
}

void WorkspaceLog::append(const fs::path& file, const std::string& lines) {
  std::error_code missing_counts_as_empty;
  const auto size = fs::file_size(file, missing_counts_as_empty);
  if (!missing_counts_as_empty && size > 0 &&
      static_cast<std::int64_t>(size + lines.size()) > limits_.bytes) {
    rotate(file, limits_.files);
  }
  const Status written = append_to(file, lines);
  if (!written && !complained_) {
    log_.warning(written.error().message + "; the logs of runs in the store are complete");
  }
  complained_ = !written;
}

std::string log_subject(const Run& run) {
  std::string_view cause;
  switch (run.trigger) {
    case Trigger::kSchedule: cause = "SCHEDULED"; break;
    case Trigger::kManual: cause = "MANUAL"; break;
    case Trigger::kEvent: cause = "EVENT"; break;
    case Trigger::kChange: cause = "CHANGE"; break;
    case Trigger::kTtl: cause = "TTL"; break;
    case Trigger::kRetry: cause = "RETRY"; break;
  }
  std::string_view what;
  switch (run.operation) {
    case Operation::kDeploy: what = "DEPLOY"; break;
    case Operation::kDestroy: what = "DESTROY"; break;
    case Operation::kPlan: what = "PLAN"; break;
    case Operation::kJob: what = "JOB"; break;
  }
  if (run.job.empty()) return fmt::format("{} {}", cause, what);
  return fmt::format("{} {} {}{}", cause, what, run.operation == Operation::kJob ? "" : "of JOB ",
                     run.job.value);
}

}  // namespace provisioner::execution
