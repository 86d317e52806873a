#include "store/postgres/changes.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/text.hpp"

namespace provisioner::postgres {
namespace {

constexpr std::size_t kLongestPayload = 7900;  // PostgreSQL: less than 8000 bytes

// session \n xid \t topic key \t topic key \n xid ...; none of them holds a control character. A
// key that belongs to a workspace is followed by a space and its name: ids hold no space.
constexpr char kLine = '\n', kField = '\t', kOf = ' ';

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Change> parse_change(std::string_view text) {
  if (text.empty() || text[0] < '0' || text[0] > '5') return std::nullopt;
  Change change{.topic = static_cast<Change::Topic>(text[0] - '0')};
  text.remove_prefix(1);
  const bool of_run = change.topic == Change::Topic::kRun || change.topic == Change::Topic::kCancel;
  if (of_run) {
    const auto at = text.find(kOf);
    if (at == std::string_view::npos) return std::nullopt;
    change.workspace = std::string(text.substr(at + 1));
    text = text.substr(0, at);
  }
  change.key = std::string(text);
  return change;
}

}  // namespace

std::vector<std::string> to_payloads(std::string_view session,
                                     const std::vector<Announcement>& announcements) {
  std::vector<std::string> payloads;
  for (const Announcement& announcement : announcements) {
    bool begun = false;
    for (const Change& change : announcement.changes) {
      if (change.topic == Change::Topic::kLog) continue;
      std::string field = fmt::format("{}{}{}", kField, static_cast<int>(change.topic), change.key);
      if (!change.workspace.empty()) (field += kOf) += change.workspace;
      const std::string line = fmt::format("{}{}", kLine, announcement.xid);
      if (payloads.empty() ||
          payloads.back().size() + line.size() + field.size() > kLongestPayload) {
        payloads.emplace_back(session);
        begun = false;
      }
      if (!begun) payloads.back() += line;
      payloads.back() += field;
      begun = true;
    }
  }
  return payloads;
}

std::optional<std::vector<Announcement>> from_payload(std::string_view payload,
                                                      std::string_view session) {
  const auto lines = split(payload, kLine);
  if (lines.empty() || lines[0] == session) return std::nullopt;
  std::vector<Announcement> announcements;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto fields = split(lines[i], kField);
    const auto xid = number(fields[0]);
    if (!xid) return std::nullopt;
    Announcement announcement{.xid = *xid, .changes = {}};
    for (std::size_t f = 1; f < fields.size(); ++f) {
      auto change = parse_change(fields[f]);
      if (!change) return std::nullopt;
      announcement.changes.push_back(*std::move(change));
    }
    announcements.push_back(std::move(announcement));
  }
  return announcements;
}

bool Told::note(std::uint64_t xid, const Change& change) {
  return entries_.insert({xid, change.topic, change.key}).second;
}

void Told::forget_before(std::uint64_t xid) {
  entries_.erase(entries_.begin(),
                 entries_.lower_bound({.xid = xid, .topic = Change::Topic{}, .key = ""}));
}

}  // namespace provisioner::postgres
