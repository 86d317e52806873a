#include "schedule/cron.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "base/text.hpp"

namespace provisioner {
namespace {

constexpr std::size_t kLongestText = 1000;

constexpr std::array<std::string_view, 12> kMonthNames = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                                          "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::array<std::string_view, 7> kWeekdayNames = {"SUN", "MON", "TUE", "WED",
                                                           "THU", "FRI", "SAT"};

struct FieldRule {
  std::string_view name;
  int low;
  int high;  // of a value
  int top;   // where `*` and `a/n` end: Sunday is 7 only when it is written so
  std::span<const std::string_view> names;  // of low, low + 1, ...
};

constexpr FieldRule kMinute{"minute", 0, 59, 59, {}};
constexpr FieldRule kHour{"hour", 0, 23, 23, {}};
constexpr FieldRule kDay{"day of month", 1, 31, 31, {}};
constexpr FieldRule kMonth{"month", 1, 12, 12, kMonthNames};
constexpr FieldRule kWeekday{"day of week", 0, 7, 6, kWeekdayNames};

struct Macro {
  std::string_view name;
  std::string_view expression;
};

constexpr std::array<Macro, 7> kMacros = {{{"@hourly", "0 * * * *"},
                                           {"@daily", "0 0 * * *"},
                                           {"@midnight", "0 0 * * *"},
                                           {"@weekly", "0 0 * * 0"},
                                           {"@monthly", "0 0 1 * *"},
                                           {"@yearly", "0 0 1 1 *"},
                                           {"@annually", "0 0 1 1 *"}}};

constexpr std::array<std::string_view, 5> kEvents = {"@deployment", "@deployment-failed",
                                                     "@destroy", "@destroy-failed", "@reboot"};

// One field as it was read: plain values, and the two forms that depend on the month.
struct Field {
  std::uint64_t values = 0;
  bool last_day = false;
  std::array<std::uint8_t, 7> nth{};  // weekday -> bit n: its nth in the month (1 to 5)
};

std::unexpected<Error> wrong(std::string message) {
  return fail(ErrorKind::kInvalid, std::move(message));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_digit);
}

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return result;
}

// Of a number of any length: a value past every field's range stands for all that are too long.
int read_number(std::string_view digits) {
  int value = 0;
  for (const char c : digits) value = std::min(value * 10 + (c - '0'), 100'000);
  return value;
}

std::string value_text(const FieldRule& rule, int value) {
  if (rule.names.empty()) return std::to_string(value);
  const int low = rule.low;
  return std::string(rule.names[static_cast<std::size_t>(value - low) % rule.names.size()]);
}

// What is no value, with the alternative where the spelling of another cron is recognised.
std::unexpected<Error> explain_bad_value(const FieldRule& rule, std::string_view text) {
  const std::string capitals = upper(text);
  const char last = capitals.empty() ? ' ' : capitals.back();
  if (text.empty()) return wrong(fmt::format("{} is empty where a value is expected", rule.name));
  if (text == "?") {
    return wrong(fmt::format("{}: \"?\" is not supported, write * for any", rule.name));
  }
  if (rule.name == kDay.name) {
    if (last == 'W') {
      return wrong(
          fmt::format("day of month: \"{}\" is not supported (W, the nearest weekday): list "
                      "the days, or restrict the day of week (MON-FRI) instead",
                      text));
    }
    if (capitals.front() == 'L') {
      return wrong(
          fmt::format("day of month: \"{}\" is not supported: L alone is the last day of the "
                      "month, other days are written as numbers",
                      text));
    }
  }
  if (rule.name == kWeekday.name && last == 'L') {
    return wrong(
        fmt::format("day of week: \"{}\" is not supported: L is the last day of the month, in "
                    "the day of month field; count weekdays from the front (FRI#4)",
                    text));
  }
  if (rule.names.empty()) {
    return wrong(fmt::format("{}: \"{}\" is not a number from {} to {}", rule.name, text, rule.low,
                             rule.high));
  }
  std::string_view guess = nearest(capitals, rule.names);
  if (guess.empty() && capitals.size() > 3) {  // a full name: MONDAY, AUGUST
    const auto found = std::ranges::find(rule.names, std::string_view(capitals).substr(0, 3));
    if (found != rule.names.end()) guess = *found;
  }
  return wrong(fmt::format("{}: \"{}\" is neither a number from {} to {} nor a name such as {}{}",
                           rule.name, text, rule.low, rule.high, rule.names[1],
                           guess.empty() ? "" : fmt::format("; did you mean {}?", guess)));
}

Result<int> read_value(const FieldRule& rule, std::string_view text) {
  if (all_digits(text)) {
    const int value = read_number(text);
    if (value < rule.low || value > rule.high) {
      return wrong(fmt::format("{} {} is outside {}-{}", rule.name, text, rule.low, rule.high));
    }
    return value;
  }
  const auto found = std::ranges::find(rule.names, upper(text));
  if (found == rule.names.end()) return explain_bad_value(rule, text);
  return rule.low + static_cast<int>(found - rule.names.begin());
}

// `first-last` the wrong way round: two ranges say the same.
std::unexpected<Error> explain_wrapped(const FieldRule& rule, std::string_view text, int first,
                                       int last) {
  const auto range = [&](int from, int to) {
    return from == to ? value_text(rule, from)
                      : fmt::format("{}-{}", value_text(rule, from), value_text(rule, to));
  };
  const std::string alternative =
      first > rule.top ? range(rule.low, last)
                       : fmt::format("{},{}", range(first, rule.top), range(rule.low, last));
  return wrong(fmt::format("{} range {} runs backwards: write {}", rule.name, text, alternative));
}

struct Range {
  int first;
  int last;
};

Result<Range> read_range(const FieldRule& rule, std::string_view text, bool has_step) {
  if (text == "*") return Range{rule.low, rule.top};
  const std::size_t dash = text.find('-');
  const bool counts_from_end = rule.name == kDay.name && upper(text).starts_with('L');  // L-3
  if (dash == std::string_view::npos || counts_from_end) {
    const auto value = read_value(rule, text);
    if (!value) return std::unexpected(value.error());
    return Range{*value, has_step ? std::max(*value, rule.top) : *value};
  }
  const std::string_view last_text = text.substr(dash + 1);
  const auto first = read_value(rule, text.substr(0, dash));
  if (!first) return std::unexpected(first.error());
  auto last = read_value(rule, last_text);
  if (!last) return std::unexpected(last.error());
  // FRI-SUN: a week ends on Sunday.
  if (rule.name == kWeekday.name && *last == 0 && *first > 0 && !all_digits(last_text)) last = 7;
  if (*last < *first) return explain_wrapped(rule, text, *first, *last);
  return Range{*first, *last};
}

Status read_nth_weekday(std::string_view text, Field& field) {
  const std::size_t hash = text.find('#');
  const std::string_view nth_text = text.substr(hash + 1);
  const auto weekday = read_value(kWeekday, text.substr(0, hash));
  if (!weekday) return std::unexpected(weekday.error());
  const int nth = all_digits(nth_text) ? read_number(nth_text) : 0;
  if (nth < 1 || nth > 5) {
    return wrong(fmt::format(
        "day of week: \"{}\" must end in #1 to #5, the first to fifth of the month", text));
  }
  field.nth[static_cast<std::size_t>(*weekday % 7)] |= static_cast<std::uint8_t>(1 << nth);
  return {};
}

Status read_item(const FieldRule& rule, std::string_view text, Field& field) {
  if (rule.name == kDay.name && (text == "L" || text == "l")) {
    field.last_day = true;
    return {};
  }
  if (rule.name == kWeekday.name && text.find('#') != std::string_view::npos) {
    return read_nth_weekday(text, field);
  }
  const std::size_t slash = text.find('/');
  const bool has_step = slash != std::string_view::npos;
  const auto range = read_range(rule, text.substr(0, slash), has_step);
  if (!range) return std::unexpected(range.error());
  int step = 1;
  if (has_step) {
    const std::string_view step_text = text.substr(slash + 1);
    step = all_digits(step_text) ? read_number(step_text) : 0;
    if (step == 0) {
      return wrong(fmt::format("{}: the step of \"{}\" must be a number from 1", rule.name, text));
    }
    if (step > rule.top - rule.low + 1) {
      return wrong(
          fmt::format("{}: the step of \"{}\" is longer than the range {}-{}, so it would "
                      "only match {}",
                      rule.name, text, rule.low, rule.top, value_text(rule, range->first)));
    }
  }
  for (int value = range->first; value <= range->last; value += step) {
    field.values |= std::uint64_t{1} << value;
  }
  return {};
}

Result<Field> read_field(const FieldRule& rule, std::string_view text) {
  Field field;
  for (const std::string_view item : split(text, ',')) {
    if (item.empty()) {
      return wrong(fmt::format("{}: \"{}\" has an empty place in its list", rule.name, text));
    }
    if (auto status = read_item(rule, item, field); !status) return std::unexpected(status.error());
  }
  return field;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t pos = 0;
  while ((pos = text.find_first_not_of(" \t", pos)) != std::string_view::npos) {
    const std::size_t end = std::min(text.find_first_of(" \t", pos), text.size());
    words.push_back(text.substr(pos, end - pos));
    pos = end;
  }
  return words;
}

// What "@..." stands for.
Result<std::string_view> read_macro(std::string_view text) {
  const std::string lower = [&] {
    std::string result(text);
    for (char& c : result) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return result;
  }();
  const auto macro = std::ranges::find(kMacros, lower, &Macro::name);
  if (macro != kMacros.end()) return macro->expression;
  if (std::ranges::find(kEvents, lower) != kEvents.end()) {
    return wrong(
        fmt::format("{} is an event, not a time: only a job's schedule can name it", text));
  }
  if (lower.starts_with("@every")) {
    return wrong("@every is not supported: write a step, such as */5 * * * * for every 5 minutes");
  }
  std::array<std::string_view, kMacros.size()> names;
  std::ranges::transform(kMacros, names.begin(), &Macro::name);
  const std::string_view guess = nearest(lower, names);
  return wrong(fmt::format("{} is not known; {}", text,
                           guess.empty()
                               ? "there are @hourly, @daily, @midnight, @weekly, @monthly, "
                                 "@yearly and @annually"
                               : fmt::format("did you mean {}?", guess)));
}

std::unexpected<Error> explain_word_count(const std::vector<std::string_view>& words) {
  if (words.empty())
    return wrong("the expression is empty: five fields are needed, as in 0 8 * * *");
  const std::string_view hint = words.size() == 6
                                    ? "; seconds and years are not supported, leave the sixth out"
                                : words.size() == 1 ? "; for example 0 8 * * MON-FRI, or @daily"
                                                    : "";
  return wrong(
      fmt::format("{} field{} where five are needed (minute, hour, day of month, month, day of "
                  "week){}",
                  words.size(), words.size() == 1 ? "" : "s", hint));
}

std::array<std::uint32_t, 7> weekday_table(const Field& field) {
  // Sunday may be bit 0 or bit 7.
  const std::uint64_t weekdays = (field.values | field.values >> 7) & 0x7F;
  std::array<std::uint32_t, 7> table{};
  for (unsigned first = 0; first < 7; ++first) {
    for (unsigned day = 1; day <= 31; ++day) {
      const unsigned weekday = (first + day - 1) % 7;
      const unsigned nth = (day - 1) / 7 + 1;
      if ((weekdays >> weekday & 1) != 0 || (field.nth[weekday] >> nth & 1) != 0) {
        table[first] |= std::uint32_t{1} << day;
      }
    }
  }
  return table;
}

// Every shape a month can have comes up in the calendar sooner or later.
bool can_fire(const CronExpression& cron) {
  constexpr std::array<unsigned, 13> kLongest = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  for (unsigned month = 1; month <= 12; ++month) {
    if ((cron.fields().months >> month & 1) == 0) continue;
    for (unsigned first = 0; first < 7; ++first) {
      if (cron.days_in(first, kLongest[month]) != 0) return true;
    }
  }
  return false;
}

}  // namespace

Result<CronExpression> CronExpression::parse(std::string_view text) {
  text = trim(text);
  if (text.size() > kLongestText) {
    return wrong(fmt::format("the expression has more than {} characters", kLongestText));
  }
  std::vector<std::string_view> words = words_of(text);
  if (!words.empty() && words.front().front() == '@') {
    const auto expression = read_macro(words.front());
    if (!expression) return std::unexpected(expression.error());
    if (words.size() > 1) return wrong(fmt::format("nothing may follow {}", words.front()));
    words = words_of(*expression);
  }
  if (!words.empty() &&
      (words.front().starts_with("TZ=") || words.front().starts_with("CRON_TZ="))) {
    return wrong(fmt::format("{} does not belong into the expression: set \"timezone\" instead",
                             words.front()));
  }
  if (words.size() != 5) return explain_word_count(words);

  constexpr std::array<const FieldRule*, 5> kRules = {&kMinute, &kHour, &kDay, &kMonth, &kWeekday};
  std::array<Field, 5> read;
  for (std::size_t i = 0; i < read.size(); ++i) {
    auto field = read_field(*kRules[i], words[i]);
    if (!field) return std::unexpected(std::move(field.error()));
    read[i] = *field;
  }

  CronExpression cron;
  cron.text_ = std::string(text);
  cron.fields_.minutes = read[0].values;
  cron.fields_.hours = static_cast<std::uint32_t>(read[1].values);
  cron.fields_.days = static_cast<std::uint32_t>(read[2].values);
  cron.fields_.last_days = read[2].last_day ? ~std::uint32_t{0} : 0;
  cron.fields_.months = static_cast<std::uint32_t>(read[3].values);
  cron.fields_.weekday_days = weekday_table(read[4]);
  cron.fields_.either_day_field = !words[2].starts_with('*') && !words[4].starts_with('*');
  cron.wall_clock_bound_ =
      words[0].find('*') == std::string_view::npos && words[1].find('*') == std::string_view::npos;
  if (!can_fire(cron)) {
    return wrong(fmt::format(
        "it can never fire: no month that matches {} has a day that matches {}", words[3],
        words[4] == "*" ? std::string(words[2]) : fmt::format("{} and {}", words[2], words[4])));
  }
  return cron;
}

}  // namespace provisioner
