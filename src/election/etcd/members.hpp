// The members of one etcd cluster, asked in turn.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "election/etcd/member.hpp"

namespace provisioner {

struct EtcdSettings {
  std::vector<http::Endpoint> endpoints;        // at least one
  std::shared_ptr<const http::TlsContext> tls;  // needed for https endpoints
  std::string user, password;                   // "" = none
  std::string prefix = "/provisioner/election";
};

namespace etcd {

// One question at a time. Loop only.
class Members {
 public:
  Members(const boost::asio::any_io_executor& loop, const Clock& clock,
          const EtcdSettings& settings);

  // Puts a question, which may be several calls at the same member, to one member after the other
  // until one answers, beginning with the one that answered last. Each gets its share of what is
  // left of `patience`, so that a silent one does not use it up. The error is the last one's.
  template <typename T>
  Task<Result<T>> ask(Duration patience,
                      std::function<Task<Result<T>>(Member&, BootInstant until)> question) {
    const BootInstant end = clock_.boot_now() + patience;
    Result<T> answer = fail(ErrorKind::kUnavailable, "etcd: no endpoints");
    for (std::size_t left = members_.size(); left > 0; --left) {
      const BootInstant now = clock_.boot_now();
      if (now >= end) break;
      answer =
          co_await question(*members_[next_], now + (end - now) / static_cast<Duration::rep>(left));
      if (answer || !is_worth_asking_another(answer.error().kind)) break;
      next_ = (next_ + 1) % members_.size();
    }
    co_return answer;
  }

  // The one that would be asked next.
  Member& preferred() { return *members_[next_]; }
  void prefer_another() { next_ = (next_ + 1) % members_.size(); }

 private:
  static bool is_worth_asking_another(ErrorKind kind) {
    return kind == ErrorKind::kUnavailable || kind == ErrorKind::kAmbiguous ||
           kind == ErrorKind::kTimeout || kind == ErrorKind::kInvalid;
  }

  const Clock& clock_;
  std::vector<std::unique_ptr<Member>> members_;
  std::size_t next_ = 0;
};

}  // namespace etcd
}  // namespace provisioner
