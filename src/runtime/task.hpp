// Task<T>: a coroutine on the daemon's or the runner's one event loop.
#pragma once

#include <boost/asio/awaitable.hpp>

// g++ 12 double-frees temporaries in awaited expressions, silently (docs/adr/0001-clang.md).
#if !defined(__clang__)
#error "coroutines of g++ 12 are miscompiled: build with clang 19 or newer ('make build')"
#endif

namespace provisioner {

// Lazy: it starts when awaited or spawned. Exceptions do not cross rooms: Task<Result<T>>.
// Parameters of a coroutine are taken by value, or outlive it visibly.
template <typename T = void>
using Task = boost::asio::awaitable<T>;

}  // namespace provisioner
