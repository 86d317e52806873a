#include "runner/log_spool.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "runner/say.hpp"

namespace provisioner::runner {
namespace {

constexpr std::string_view kMask = "***";

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Cuts the beginning of a character at the end of `text`, which is valid UTF-8 up to there.
void cut_to_whole_characters(std::string& text) {
  std::size_t begin = text.size();
  while (begin > 0 && continues_character(text[begin - 1])) --begin;
  if (begin == 0) return;
  const auto lead = static_cast<unsigned char>(text[begin - 1]);
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  if (text.size() - (begin - 1) < length) text.resize(begin - 1);
}

}  // namespace

Masks::Masks(std::vector<std::string> secrets) : secrets_(std::move(secrets)) {
  std::erase(secrets_, "");
  std::sort(secrets_.begin(), secrets_.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
}

std::string Masks::apply(std::string text) const {
  for (const auto& secret : secrets_) {
    for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos;) {
      text.replace(at, secret.size(), kMask);
      at += kMask.size();
    }
  }
  return text;
}

LogSpool::LogSpool(std::filesystem::path path, Masks masks, std::int64_t limit)
    : path_(std::move(path)),
      masks_(std::move(masks)),
      limit_(limit),
      fd_(open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {}

LogSpool::~LogSpool() {
  if (fd_ >= 0) close(fd_);
}

void LogSpool::append(std::string_view lines) {
  if (cut_) return;
  std::string text = masks_.apply(std::string(lines));
  text += '\n';
  if (size_ + static_cast<std::int64_t>(text.size()) > limit_) {
    cut_ = true;
    text = fmt::format("[output cut: it is longer than {} bytes]\n", limit_);
  }
  write(text);
}

void LogSpool::write(std::string_view text) {
  while (!text.empty() && fd_ >= 0) {
    const ssize_t written = ::write(fd_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      // A full disk costs the log, not the run.
      say(fmt::format("cannot write {}: error {}", path_.string(), errno));
      cut_ = true;
      return;
    }
    size_ += written;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

Result<std::string> LogSpool::read(std::int64_t offset, std::size_t most) const {
  const auto left = static_cast<std::size_t>(std::max<std::int64_t>(size_ - offset, 0));
  std::string text(std::min(most, left), '\0');
  const ssize_t got = pread(fd_, text.data(), text.size(), offset);
  if (got < 0) return fail_errno("reading " + path_.string(), errno);
  text.resize(static_cast<std::size_t>(got));
  if (offset + got < size_) cut_to_whole_characters(text);
  return text;
}

}  // namespace provisioner::runner
