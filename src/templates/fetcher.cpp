#include "templates/fetcher.hpp"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "templates/git_address.hpp"

namespace provisioner {
namespace {

constexpr std::size_t kMostHosts = 64;

Status make_empty(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (!error) std::filesystem::create_directories(folder, error);
  if (!error) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  if (error) return fail_errno(fmt::format("making {}", folder.string()), error.value());
  return {};
}

bool is_about_the_host(ErrorKind kind) {
  return kind == ErrorKind::kUnavailable || kind == ErrorKind::kTimeout;
}

}  // namespace

Fetcher::Fetcher(Clock& clock, Logger log, const Environment& environment, FetcherSettings settings)
    : clock_(clock),
      log_(std::move(log)),
      environment_(environment),
      settings_(std::move(settings)),
      threads_(settings_.at_once) {
  if (auto made = make_empty(settings_.scratch); !made) {
    log_.warning("templates cannot be fetched: " + made.error().message);
  }
}

Fetcher::~Fetcher() { stop(); }

void Fetcher::stop() {
  stopped_ = true;
  stop_->raise();
}

Task<Result<Fetched>> Fetcher::fetch(FetchRequest request) {
  if (stopped_) co_return fail(ErrorKind::kCancelled, "the daemon stops");
  const auto address = parse_git_url(request.source.url);
  if (!address) co_return std::unexpected(address.error());
  if (waiting_ >= settings_.most_waiting) {
    co_return fail(ErrorKind::kUnavailable,
                   fmt::format("{} templates are being fetched: try again later", waiting_));
  }
  const std::string host = address->host;
  if (!host.empty() && !breaker_of(host).admit(clock_.boot_now())) {
    co_return fail(
        ErrorKind::kUnavailable,
        fmt::format("{}: {} could not be reached again and again, and is not asked for "
                    "{} at most",
                    shown(request.source), host, format_duration(settings_.breaker.timeout)));
  }
  ++waiting_;
  auto fetched = co_await threads_.run(
      [request = std::move(request), place = FetchPlace{.scratch = settings_.scratch,
                                                        .environment = environment_,
                                                        .patience = settings_.patience,
                                                        .stop = stop_}] {
        return provisioner::fetch(request, place);
      });
  --waiting_;
  count(host, fetched);
  co_return fetched;
}

void Fetcher::count(const std::string& host, const Result<Fetched>& fetched) {
  const bool unreachable = !fetched && is_about_the_host(fetched.error().kind);
  const bool cancelled = !fetched && fetched.error().kind == ErrorKind::kCancelled;
  if (fetched) ++counts_.succeeded;
  if (unreachable) ++counts_.unreachable;
  if (!fetched && !unreachable && !cancelled) ++counts_.refused;
  if (host.empty()) return;
  const BootInstant now = clock_.boot_now();
  // A host that refuses works.
  if (cancelled) {
    breaker_of(host).gave_up(now);
  } else if (unreachable) {
    breaker_of(host).failed(now);
  } else {
    breaker_of(host).succeeded(now);
  }
}

CircuitBreaker& Fetcher::breaker_of(const std::string& host) {
  const auto known = breakers_.find(host);
  if (known != breakers_.end()) return known->second;
  if (breakers_.size() >= kMostHosts) {
    const BootInstant now = clock_.boot_now();
    for (auto it = breakers_.begin(); it != breakers_.end();) {
      it = it->second.state(now) == BreakerState::kClosed ? breakers_.erase(it) : std::next(it);
    }
    if (breakers_.size() >= kMostHosts) breakers_.erase(breakers_.begin());
  }
  const auto say = [log = log_, host](BreakerState from, BreakerState to) {
    if (from == BreakerState::kClosed) {
      log.warning(
          fmt::format("{} cannot be reached again and again: it is left alone for a while", host));
    } else if (to == BreakerState::kClosed) {
      log.info(fmt::format("{} can be reached again", host));
    }
  };
  BreakerSettings settings = settings_.breaker;
  settings.report_within = settings_.patience * 2;
  return breakers_.try_emplace(host, settings, say).first->second;
}

std::vector<BreakerReport> Fetcher::breakers() {
  std::vector<BreakerReport> reports;
  for (auto& [host, breaker] : breakers_) {
    reports.push_back(report_on(breaker, "templates: " + host, clock_.now(), clock_.boot_now()));
  }
  return reports;
}

}  // namespace provisioner
