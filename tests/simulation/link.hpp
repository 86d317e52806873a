// One client's way to a server: late, lossy, cut.
#pragma once

#include <functional>
#include <memory>

#include "tests/simulation/world.hpp"

namespace provisioner::simulation {

// What faults do to the way between one instance and one server, in both directions.
struct Link {
  bool cut = false;   // nothing passes
  bool deaf = false;  // requests arrive, answers do not
  Duration least = std::chrono::microseconds(100);
  Duration most = std::chrono::milliseconds(3);
};

// Asks the server behind `link`. A request that was sent may be carried out although its asker has
// given up, or died: `when_lost` is what he is told then. kUnavailable means that nothing was sent.
template <typename T>
Task<Result<T>> ask_server(World& world, const Link& link, ProcessPtr asker, Duration patience,
                           ErrorKind when_lost, std::function<Result<T>()> at_server) {
  if (link.cut && world.chance(0.5)) {
    co_await pass(world, asker, link.most);
    co_return fail(ErrorKind::kUnavailable, "connection refused");
  }
  const auto answer = std::make_shared<Answer<Result<T>>>(world);
  world.after(world.between(link.least, link.most), nullptr,
              [&world, &link, asker, answer, at_server = std::move(at_server)] {
                if (link.cut) return;
                Result<T> done = at_server();
                if (link.cut || link.deaf) return;
                world.after(world.between(link.least, link.most), asker,
                            [answer, done = std::move(done)] { answer->set(done); });
              });
  const auto timer = world.after(patience, asker, [answer, when_lost] {
    answer->set(fail(when_lost, "the answer did not come in time"));
  });
  auto got = co_await Answer<Result<T>>::wait(answer);
  world.cancel(timer);
  if (!got) co_return fail(ErrorKind::kCancelled, "the asker ended");
  co_return *std::move(got);
}

}  // namespace provisioner::simulation
