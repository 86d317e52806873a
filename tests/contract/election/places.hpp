// Where candidates meet in the tests: one of each implementation of Election.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "election/election.hpp"
#include "election/etcd/etcd_election.hpp"
#include "election/postgres/postgres_election.hpp"
#include "election/single.hpp"
#include "runtime/clock.hpp"
#include "store/postgres/postgres_store.hpp"
#include "tests/support/etcd.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/virtual_clock.hpp"

namespace provisioner::testing {

using namespace std::chrono_literals;

class Place {
 public:
  virtual ~Place() = default;
  virtual std::unique_ptr<Election> candidate(const std::string& instance) = 0;
  virtual Clock& clock() = 0;
  virtual void pass(Duration d) = 0;

  boost::asio::io_context& loop() { return loop_; }

 protected:
  boost::asio::io_context loop_;
};

class SinglePlace final : public Place {
 public:
  std::unique_ptr<Election> candidate(const std::string& instance) override {
    return std::make_unique<SingleElection>(clock_, InstanceId(instance));
  }
  Clock& clock() override { return clock_; }
  void pass(Duration d) override { clock_.advance(d); }

 private:
  SimulatedClock clock_{loop_, parse_rfc3339("2026-03-02T07:00:00Z").value()};
};

// A place of real servers, where only real time passes.
class RealPlace : public Place {
 public:
  Clock& clock() override { return clock_; }
  void pass(Duration d) override { run_task(loop_, clock_.sleep_for(d)); }

 protected:
  SystemClock clock_{loop_.get_executor()};
  SystemRandom random_;
};

class EtcdPlace final : public RealPlace {
 public:
  static constexpr ElectionTiming kTiming{
      .ttl = 3s, .renew = 500ms, .margin = 300ms, .request = 500ms};

  explicit EtcdPlace(EtcdCluster::Options options = {}) : cluster_(options) {}

  std::unique_ptr<EtcdElection> etcd_candidate(const std::string& instance, EtcdSettings settings) {
    return std::make_unique<EtcdElection>(loop_.get_executor(), clock_, random_,
                                          std::move(settings), kTiming, InstanceId(instance),
                                          random_.incarnation());
  }
  std::unique_ptr<Election> candidate(const std::string& instance) override {
    return etcd_candidate(instance, {.endpoints = cluster_.endpoints()});
  }
  EtcdCluster& cluster() { return cluster_; }

 private:
  EtcdCluster cluster_;
};

class PostgresPlace final : public RealPlace {
 public:
  static constexpr ElectionTiming kTiming{
      .ttl = 3s, .renew = 500ms, .margin = 300ms, .request = 500ms};

  PostgresPlace() : database_(PostgresServer::shared().take_database()) {
    settings_.hosts = {{PostgresServer::kHost, PostgresServer::shared().port()}};
    settings_.database = database_;
    settings_.user = PostgresServer::kUser;
    settings_.password = PostgresServer::kPassword;
    // The store makes the table.
    auto store = run_task(loop_, open_postgres_store(loop_.get_executor(), clock_, settings_));
    if (!store) throw std::runtime_error(store.error().message);
  }
  ~PostgresPlace() override { PostgresServer::shared().give_back_database(database_); }

  std::unique_ptr<Election> candidate(const std::string& instance) override {
    return std::make_unique<PostgresElection>(loop_.get_executor(), clock_, random_, settings_,
                                              kTiming, InstanceId(instance));
  }
  std::vector<std::string> execute(const std::string& sql) {
    return PostgresServer::shared().execute(sql, database_);
  }

 private:
  std::string database_;
  PostgresSettings settings_;
};

}  // namespace provisioner::testing
