#include "election/etcd/members.hpp"

namespace provisioner::etcd {

Members::Members(const boost::asio::any_io_executor& loop, const Clock& clock,
                 const EtcdSettings& settings)
    : clock_(clock) {
  const auto login =
      std::make_shared<Login>(Login{.user = settings.user, .password = settings.password});
  for (const auto& endpoint : settings.endpoints) {
    members_.push_back(std::make_unique<Member>(loop, clock, endpoint, settings.tls, login));
  }
}

}  // namespace provisioner::etcd
