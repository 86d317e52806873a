#include "bench/system/shared/figure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>

namespace provisioner::bench {
namespace {

std::string number(double value) {
  return fmt::format("{:.{}f}", value, value < 10 ? 2 : value < 100 ? 1 : 0);
}

}  // namespace

double Figure::judged() const { return of_ratio && peer ? ours / *peer : ours; }

bool Figure::met() const { return at_least ? judged() >= target : judged() <= target; }

void print(const Figure& figure) {
  const std::string peer =
      figure.peer ? fmt::format("{} {} ({})", number(*figure.peer), figure.unit, figure.peer_name)
                  : "-";
  const std::string ratio =
      figure.peer ? fmt::format("{:.2f}", figure.ours / *figure.peer) : std::string("-");
  fmt::print("figure | {} | {} {} | {} | {} | {} {}{} | {}\n", figure.name, number(figure.ours),
             figure.unit, peer, ratio, figure.at_least ? ">=" : "<=", number(figure.target),
             figure.of_ratio ? " x" : " " + figure.unit, figure.met() ? "met" : "MISSED");
  if (!figure.note.empty()) fmt::print("         {}\n", figure.note);
  std::fflush(stdout);
}

void print_note(const std::string& text) {
  fmt::print("         {}\n", text);
  std::fflush(stdout);
}

double median(std::vector<double> values) { return percentile(std::move(values), 0.5); }

double percentile(std::vector<double> values, double share) {
  if (values.empty()) throw std::logic_error("no values");
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

}  // namespace provisioner::bench
