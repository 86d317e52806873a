// One etcd server: the few calls of its v3 JSON API that an election needs.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "http/client.hpp"
#include "runtime/clock.hpp"
#include "runtime/task.hpp"

namespace provisioner::etcd {

struct Login {
  std::string user;  // "" = none
  std::string password;
  std::string token;  // the cluster's, once logged in; shared by all members
};

struct KeyValue {
  std::string key, value;
  std::int64_t lease = 0;
  std::int64_t create_revision = 0;
};

// What one linearizable transaction saw of the queue below a prefix.
struct Standing {
  std::optional<KeyValue> first;  // the lowest live create revision: who may lead
  std::optional<KeyValue> own;    // our key, where it lives and hangs on our lease
};

// One call at a time; cancelling one closes the connection. Loop only. Every call ends by `until`.
// All may be repeated, at this or another member, when nobody knows whether they had an effect.
// Errors: kUnavailable, kAmbiguous, kTimeout (ask another member); kNotFound (no such lease);
// kDenied (login or permission); kInvalid (this is no etcd with its JSON API switched on).
class Member {
 public:
  Member(const boost::asio::any_io_executor& loop, const Clock& clock, http::Endpoint endpoint,
         std::shared_ptr<const http::TlsContext> tls, std::shared_ptr<Login> login);
  ~Member();

  // Makes the lease with an id of the caller's choice. Of one that exists already, which is ours
  // with a lost answer, the time asked for is returned; keep_alive() knows better.
  Task<Result<Duration>> grant(std::int64_t lease, Duration ttl, BootInstant until);
  Task<Result<Duration>> keep_alive(std::int64_t lease, BootInstant until);  // its whole time again
  Task<Result<Duration>> time_left(std::int64_t lease, BootInstant until);
  Task<Status> revoke(std::int64_t lease, BootInstant until);  // with its keys; of none: ok

  // Creates the key unless it exists.
  Task<Status> enter(std::string key, std::string value, std::int64_t lease, BootInstant until);
  // Deletes the key if it is still the one created at that revision.
  Task<Status> remove(std::string key, std::int64_t create_revision, BootInstant until);
  Task<Result<Standing>> standing(std::string prefix, std::string key, std::int64_t lease,
                                  BootInstant until);

  // Calls back whenever a key below `prefix` was deleted, and once at the beginning, until the
  // connection breaks. A hint: it may come late or never.
  Task<Status> watch(std::string prefix, BootInstant until, std::function<void()> on_delete);

  const http::Endpoint& endpoint() const { return endpoint_; }

 private:
  struct Answer;
  Task<Answer> call(std::string path, std::string body, BootInstant until);
  Task<Status> log_in(BootInstant until);

  const Clock& clock_;
  http::Endpoint endpoint_;
  http::Client client_;
  std::shared_ptr<Login> login_;
};

}  // namespace provisioner::etcd
