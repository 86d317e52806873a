// One instance of the design that every tutorial shows, to compare with: a session with a ttl of
// 30 s, campaign(), start deciding; observe() until another name appears, then stop. It has none of
// what makes the product's safe, and nothing to load before it decides.
//   textbook_candidate NAME ETCD_URL,... POSTGRES_CONNECTION
#include <libpq-fe.h>
#include <signal.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include "base/text.hpp"
#include "election/etcd/member.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"
#include "tests/chaos/gap/textbook.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using etcd::Member;

constexpr const char* kPrefix = "/textbook/";

// Throws what it does not expect: there is nothing to save.
class Candidate {
 public:
  Candidate(std::string name, const std::string& etcd, const std::string& database)
      : name_(std::move(name)),
        database_(PQconnectdb(database.c_str()), PQfinish),
        changed_(loop_.get_executor()) {
    if (PQstatus(database_.get()) != CONNECTION_OK) {
      throw std::runtime_error(PQerrorMessage(database_.get()));
    }
    const auto endpoint = http::Endpoint::parse(etcd.substr(0, etcd.find(','))).value();
    for (auto* member : {&asked_, &kept_alive_, &watched_}) {
      *member = std::make_unique<Member>(loop_.get_executor(), clock_, endpoint, nullptr,
                                         std::make_shared<etcd::Login>());
    }
  }

  void run() {
    const auto stop_all = [this](std::exception_ptr bug) {
      if (bug) std::rethrow_exception(bug);
      loop_.stop();
    };
    boost::asio::co_spawn(loop_, live(), stop_all);
    boost::asio::co_spawn(loop_, resign_when_told(), stop_all);
    loop_.run();
  }

 private:
  BootInstant soon() const { return clock_.boot_now() + 20s; }

  Task<> live() {
    lease_ = static_cast<std::int64_t>(random_.number() >> 1) | 1;
    key_ = kPrefix + std::to_string(lease_);
    must(co_await asked_->grant(lease_, Textbook::kTtl, soon()));
    boost::asio::co_spawn(loop_, keep_alive(), boost::asio::detached);
    boost::asio::co_spawn(loop_, watch(), boost::asio::detached);
    if (!co_await asked_->enter(key_, name_, lease_, soon())) throw std::runtime_error("no key");
    while (co_await first() != key_) co_await changed_.wait();  // campaign
    leads_ = true;
    boost::asio::co_spawn(loop_, decide(), boost::asio::detached);
    while (co_await first() == key_) co_await changed_.wait();  // observe
    leads_ = false;
  }

  Task<std::string> first() {
    const auto standing = must(co_await asked_->standing(kPrefix, key_, lease_, soon()));
    co_return standing.first ? standing.first->key : "";
  }

  Task<> keep_alive() {
    while (true) {
      co_await clock_.sleep_for(Textbook::kTtl / 3);
      (void)co_await kept_alive_->keep_alive(lease_, soon());
    }
  }

  Task<> watch() {
    while (true) {
      (void)co_await watched_->watch(kPrefix, soon(), [this] { changed_.notify(); });
    }
  }

  Task<> decide() {
    while (leads_) {
      PQclear(PQexecParams(database_.get(), Textbook::kDecide, 1, nullptr,
                           std::array{name_.c_str()}.data(), nullptr, nullptr, 0));
      co_await clock_.sleep_for(Textbook::kInterval);
    }
  }

  Task<> resign_when_told() {
    boost::asio::signal_set signals(loop_, SIGTERM);
    co_await signals.async_wait(boost::asio::use_awaitable);
    leads_ = false;
    (void)co_await Member(loop_.get_executor(), clock_, asked_->endpoint(), nullptr,
                          std::make_shared<etcd::Login>())
        .revoke(lease_, soon());
  }

  template <typename T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return *std::move(result);
  }

  std::string name_;
  boost::asio::io_context loop_;
  SystemClock clock_{loop_.get_executor()};
  SystemRandom random_;
  std::unique_ptr<PGconn, decltype(&PQfinish)> database_;
  std::unique_ptr<Member> asked_, kept_alive_, watched_;
  Signal changed_;
  std::int64_t lease_ = 0;
  std::string key_;
  bool leads_ = false;
};

}  // namespace
}  // namespace provisioner::testing

int main(int count, char** arguments) {
  if (count != 4) return 2;
  try {
    provisioner::testing::Candidate(arguments[1], arguments[2], arguments[3]).run();
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
