// The one thread that owns the connection, and the group commit.
#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "store/sqlite/connection.hpp"
#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

// One call of the store. Both functions run on the owner thread.
struct Job {
  std::move_only_function<Status(Transaction&)> work;  // its failure undoes only this job
  std::move_only_function<void(Status)> done;  // the fate of the batch; hands over to the loop
};

// Where jobs are done: on a thread of their own, or before post() returns, one by one, so that a
// simulation repeats itself exactly.
enum class Work { kOnAThread, kAtOnce };

// Takes all jobs that wait, runs them in one transaction, each in a savepoint when there are
// several, commits once, and only then tells each of them. When the commit fails, all of them get
// its error and nothing was kept.
class OwnerThread {
 public:
  // `announce` is called on this thread after a commit with what the kept jobs announced.
  OwnerThread(std::unique_ptr<Connection> connection,
              std::function<void(std::vector<Change>)> announce, Work work = Work::kOnAThread);
  // Finishes the jobs that wait.
  ~OwnerThread();

  void post(Job job);

 private:
  void loop();
  void run_batch(std::deque<Job> batch);

  std::unique_ptr<Connection> connection_;
  std::function<void(std::vector<Change>)> announce_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> waiting_;
  bool stopping_ = false;
  std::thread thread_;  // none with Work::kAtOnce
};

}  // namespace provisioner::sqlite
