#include "store/sqlite/owner_thread.hpp"

#include <csignal>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace provisioner::sqlite {
namespace {

// The error of a job that threw; SQLite may have undone the whole transaction by then.
Error error_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const SqlError& error) {
    return error.error();
  } catch (const std::exception& error) {
    return {ErrorKind::kInternal, std::string("in the store: ") + error.what()};
  }
}

Status run_in_savepoint(Connection& connection, Transaction& transaction, Job& job) {
  try {
    connection.sql("SAVEPOINT job").run();
    Status status = job.work(transaction);
    if (!status) connection.sql("ROLLBACK TO job").run();
    connection.sql("RELEASE job").run();
    return status;
  } catch (...) {
    const Error error = error_of(std::current_exception());
    if (connection.in_transaction()) {
      connection.sql("ROLLBACK TO job").run();
      connection.sql("RELEASE job").run();
    }
    return std::unexpected(error);
  }
}

void roll_back(Connection& connection) {
  if (!connection.in_transaction()) return;
  try {
    connection.sql("ROLLBACK").run();
  } catch (const SqlError&) {
    // The transaction stays open; the next BEGIN reports it to whoever asks then.
  }
}

// Nobody shares the transaction, so that no savepoint is needed to undo the job: two statements
// less.
Status run_alone(Connection& connection, Transaction& transaction, Job& job) {
  try {
    Status status = job.work(transaction);
    if (!status) roll_back(connection);
    return status;
  } catch (...) {
    const Error error = error_of(std::current_exception());
    roll_back(connection);
    return std::unexpected(error);
  }
}

Error commit_error(const SqlError& thrown) {
  Error error = thrown.error();
  // The log may have reached the disk whole although fsync failed, and count after a restart.
  if (thrown.code() == SQLITE_IOERR_FSYNC) error.kind = ErrorKind::kAmbiguous;
  error.message = "committing: " + error.message;
  return error;
}

}  // namespace

OwnerThread::OwnerThread(std::unique_ptr<Connection> connection,
                         std::function<void(std::vector<Change>)> announce, Work work)
    : connection_(std::move(connection)), announce_(std::move(announce)) {
  if (work == Work::kAtOnce) return;
  // Signals belong to the main thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { loop(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

OwnerThread::~OwnerThread() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void OwnerThread::post(Job job) {
  if (!thread_.joinable()) {
    std::deque<Job> alone;
    alone.push_back(std::move(job));
    return run_batch(std::move(alone));
  }
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void OwnerThread::loop() {
  while (true) {
    std::deque<Job> batch;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      batch.swap(waiting_);
    }
    run_batch(std::move(batch));
  }
}

void OwnerThread::run_batch(std::deque<Job> batch) {
  while (!batch.empty()) {
    std::deque<Job> ran;
    std::vector<Change> changes;
    std::optional<Error> failed;
    const bool is_alone = batch.size() == 1;
    try {
      connection_->sql("BEGIN IMMEDIATE").run();
      while (!batch.empty() && !failed) {
        ran.push_back(std::move(batch.front()));
        batch.pop_front();
        Transaction transaction(*connection_);
        const Status status = is_alone ? run_alone(*connection_, transaction, ran.back())
                                       : run_in_savepoint(*connection_, transaction, ran.back());
        if (status) {
          changes.insert(changes.end(), transaction.changes().begin(), transaction.changes().end());
        } else if (is_alone || !connection_->in_transaction()) {
          failed = status.error();  // took those before it along; those behind it try again
        }
      }
      if (!failed) connection_->sql("COMMIT").run();
    } catch (const SqlError& error) {
      failed = commit_error(error);
      roll_back(*connection_);
      for (auto& job : batch) ran.push_back(std::move(job));
      batch.clear();
    }
    for (auto& job : ran) job.done(failed ? Status(std::unexpected(*failed)) : Status());
    if (!failed && !changes.empty()) announce_(std::move(changes));
  }
}

}  // namespace provisioner::sqlite
