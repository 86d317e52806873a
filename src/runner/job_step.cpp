#include "runner/job_step.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/text.hpp"
#include "tofu/output.hpp"

namespace provisioner::runner {
namespace {

// Output as lines of readable text. A line that never ends is cut.
class Lines {
 public:
  explicit Lines(LogSpool& log) : log_(log) {}

  void feed(std::string_view piece) {
    while (!piece.empty()) {
      const auto end = piece.find('\n');
      const auto part = piece.substr(0, end);
      const auto room = kLongestLine - line_.size();
      line_ += part.substr(0, room);
      is_cut_ = is_cut_ || part.size() > room;
      if (end == std::string_view::npos) return;
      flush();
      piece.remove_prefix(end + 1);
    }
  }
  void finish() {
    if (!line_.empty()) flush();
  }

 private:
  static constexpr std::size_t kLongestLine = 64 * 1024;

  void flush() {
    std::string text = tofu::plain_text(line_);
    if (is_cut_) text += fmt::format(" [line cut: it is longer than {} bytes]", kLongestLine);
    log_.append(text);
    line_.clear();
    is_cut_ = false;
  }

  LogSpool& log_;
  std::string line_;
  bool is_cut_ = false;
};

AttemptResult failed(std::string error) {
  AttemptResult result;
  result.status = RunStatus::kFailed;
  result.error = std::move(error);
  return result;
}

Status write_script(const std::filesystem::path& path, std::string_view text) {
  if (auto written = write_whole(path, text); !written) return written;
  std::error_code error;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  return error ? fail_errno(fmt::format("making {} executable", path.string()), error.value())
               : Status();
}

Result<Command> command_of(const Steps::Parts& parts) {
  const JobWork& job = *parts.assignment.job;
  Command command;
  command.group = true;
  const auto directory = parts.directory.content() / job.working_dir;
  std::error_code absent;
  if (!std::filesystem::is_directory(directory, absent)) {
    return fail(ErrorKind::kInvalid,
                fmt::format("working_dir: there is no folder {}{}", job.working_dir,
                            job.working_dir.starts_with('/') ? "" : " in the workspace's content"));
  }
  command.directory = directory.string();
  for (const auto& [name, value] : parts.environment) {
    command.environment.push_back(name + "=" + value);
  }
  if (job.script.empty()) {
    command.words = {"/bin/sh", "-c", job.command};
    return command;
  }
  const auto script = parts.directory.script();
  if (auto written = write_script(script, job.script); !written) {
    return std::unexpected(written.error());
  }
  command.words = {script.string()};
  if (!job.script.starts_with("#!")) command.words.insert(command.words.begin(), "/bin/sh");
  return command;
}

}  // namespace

AttemptResult stopped_result(const Course& course, const Assignment& assignment) {
  AttemptResult result;
  const StopCause cause = course.cause().value_or(StopCause::kTerminated);
  result.status = status_of(cause);
  result.error = sentence_of(cause);
  if (cause == StopCause::kTimedOut) result.error += " of " + format_duration(assignment.timeout);
  return result;
}

Task<AttemptResult> run_job(Steps::Parts parts) {
  const JobWork& job = *parts.assignment.job;
  parts.log.append(job.script.empty() ? "$ " + job.command
                                      : fmt::format("[script of job {}]", job.name.value));
  const auto command = command_of(parts);
  if (!command) co_return failed(command.error().message);
  if (parts.course.stopping()) co_return stopped_result(parts.course, parts.assignment);

  Lines lines[2] = {Lines(parts.log), Lines(parts.log)};
  auto process = Process::start(parts.loop, parts.reaper, parts.starter, *command,
                                [&](Stream stream, std::string_view piece) {
                                  lines[stream == Stream::kOutput ? 0 : 1].feed(piece);
                                });
  if (!process) co_return failed(process.error().message);
  // The listener stays registered: it must not outlive the process it speaks of.
  auto current = std::make_shared<Process*>(process->get());
  parts.course.on_stop([current] {
    if (*current != nullptr) (*current)->interrupt();
  });
  const auto exit = co_await (*process)->wait();
  *current = nullptr;
  for (auto& each : lines) each.finish();
  const bool stopped = parts.course.stopping();
  AttemptResult result = stopped ? stopped_result(parts.course, parts.assignment)
                         : !exit ? failed(exit.error().message)
                                 : AttemptResult{.status = RunStatus::kSucceeded};
  if (!exit) co_return result;
  result.exit_code = exit->signal != 0 ? 128 + exit->signal : exit->code;
  if (stopped || exit->ended_well()) co_return result;
  result.status = RunStatus::kFailed;
  result.error = exit->signal != 0
                     ? fmt::format("job {} was killed by signal {} ({})", job.name.value,
                                   exit->signal, strsignal(exit->signal))
                     : fmt::format("job {} ended with exit code {}", job.name.value, exit->code);
  result.error = parts.log.masks().apply(std::move(result.error));
  co_return result;
}

}  // namespace provisioner::runner
