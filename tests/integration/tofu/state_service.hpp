// The state backend as a runner would serve it, over a store on disk: one loop on its own thread,
// so that the test may wait for a real tofu meanwhile.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "http/server.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "store/store.hpp"
#include "tofu/state_protocol.hpp"

namespace provisioner::testing {

// What befalls one request of the conversation.
struct Disturbance {
  enum class Kind {
    kNone,
    kLostReply,   // the client is told to ask again, whether or not the request was carried out
    kRunnerDies,  // the server and its connections vanish
    kTofuDies,    // SIGKILL to the client
  };
  Kind kind = Kind::kNone;
  bool after = false;  // the request was carried out; else it never reached the store
  int request = 0;     // which one, from 1
};

class StateService {
 public:
  explicit StateService(const std::filesystem::path& database);
  ~StateService();

  // Claims the one queued run, queueing one where there is none, and registers the attempt.
  ClaimedRun claim();

  // Serves the state to that attempt; returns the address. `kill_tofu` is called on the loop.
  std::string serve(const ClaimedRun& claimed, Disturbance disturbance,
                    std::function<void()> kill_tofu);
  void stop_serving();

  // "LOCK 200", "POST 503 lost" ... of the present attempt.
  std::vector<std::string> conversation() const { return conversation_; }

  void finish(const ClaimedRun& claimed);
  // The attempt's processes are dead; `recovered` is what they left behind.
  InterruptionOutcome interrupt(const ClaimedRun& claimed, std::vector<std::string> recovered);

  std::vector<StateVersion> versions();  // newest first
  std::string body(std::int64_t number);
  std::optional<StateLock> lock();

 private:
  template <typename T>
  T await(Task<Result<T>> task) {
    Result<T> result = boost::asio::co_spawn(loop_, std::move(task), boost::asio::use_future).get();
    if (!result) throw std::runtime_error("unexpected error: " + result.error().message);
    if constexpr (!std::is_void_v<T>) return *std::move(result);
  }
  void on_loop(std::function<void()> action);
  Task<http::Response> answer(http::Request request);

  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      loop_.get_executor()};
  SystemClock clock_{loop_.get_executor()};
  SystemRandom random_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<tofu::StateBackend> backend_;
  std::unique_ptr<http::Server> server_;
  Disturbance disturbance_;
  std::function<void()> kill_tofu_;
  int requests_ = 0;
  std::vector<std::string> conversation_;
  tofu::Patience patience_ = tofu::Patience::kAskAgain;
  std::thread thread_;
};

}  // namespace provisioner::testing
