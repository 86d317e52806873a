// One attempt with a real guard, runner and children, and a stand-in for the daemon's end of the
// protocol that can be away, lose replies, fence and cancel on command.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "http/server.hpp"
#include "runner/attempt_directory.hpp"
#include "runner/protocol.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::runner {

// What the daemon and its store would know. Guarded by the daemon's lock: use with_facts().
struct DaemonFacts {
  Assignment assignment;
  std::optional<Registration> registration;
  int heartbeats = 0;
  bool cancel = false;
  bool fenced = false;
  std::string log;
  std::vector<std::string> states;     // acknowledged writes
  std::vector<std::string> recovered;  // handed over as recovery
  std::optional<std::string> lock;     // tofu's lock, its JSON
  std::vector<AttemptResult> results;
  std::map<std::string, int> requests;  // by path
  int replies_to_lose = 0;     // of each path: done, but answered as if the connection had broken
  bool refuse_states = false;  // 503 for state writes
};

class StandInDaemon {
 public:
  StandInDaemon(std::filesystem::path socket, AttemptFence fence);
  ~StandInDaemon();

  void come();  // starts to listen
  void go();    // stops listening and breaks all connections

  template <typename F>
  auto with_facts(F&& look) {
    const std::lock_guard hold(mutex_);
    return look(facts_);
  }

 private:
  Task<http::Response> handle(http::Request request);
  http::Response answer(const http::Request& request);

  std::filesystem::path socket_;
  AttemptFence fence_;
  std::mutex mutex_;
  DaemonFacts facts_;
  std::unique_ptr<boost::asio::io_context> loop_;
  std::unique_ptr<http::Server> server_;
  std::thread thread_;
};

class AttemptTest : public ::testing::Test {
 protected:
  AttemptTest();
  ~AttemptTest() override;  // nothing of the attempt outlives its test

  // Runs `script` as the custom apply command of a deploy.
  void use_command(const std::string& script);
  // Runs `script` as if it were tofu: $1 is init, plan or apply.
  void use_stand_in_tofu(const std::string& script);
  void use_terraform(const std::string& main_tf);

  void launch(Duration first_lease = std::chrono::seconds(20));

  // All living processes of the attempt (guard and runner too), by an eye of the test's own.
  std::vector<pid_t> living() const;
  pid_t runner_pid() const;
  // Waits for the guard's end; its exit code, or -1.
  int wait_for_guard(std::chrono::milliseconds patience = std::chrono::seconds(60));
  bool guard_lives();
  std::optional<ExitRecord> exit_record() const;
  std::optional<AttemptResult> result();
  std::string log();
  std::string guard_log() const;

  // A file that children write to, as $NOTES.
  std::filesystem::path notes() const { return temp_ / "notes"; }
  std::string noted() const { return testing::read_file(notes()); }
  int times_noted(const std::string& word) const;
  // A guard that waits for its dead children looks like the living: zombies do not count.
  static bool lives(pid_t pid);

  testing::TempDirectory temp_;
  AttemptFence fence_;
  AttemptDirectory directory_;
  StandInDaemon daemon_;
  pid_t guard_ = 0;
  int guard_code_ = -1;
};

}  // namespace provisioner::runner
