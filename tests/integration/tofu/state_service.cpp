#include "tests/integration/tofu/state_service.hpp"

#include <fmt/format.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "execution/store_state_backend.hpp"
#include "store/sqlite/sqlite_store.hpp"
#include "tofu/state_body.hpp"

namespace provisioner::testing {
namespace {

const WorkspaceName kShop{"shop"};
const StateSlot kSlot{kShop, ""};

http::Response response_of(tofu::StateReply reply) {
  http::Response response;
  response.status = reply.status;
  response.body = std::move(reply.body);
  if (!reply.content_type.empty()) response.headers["Content-Type"] = reply.content_type;
  if (reply.retry_after) {
    response.headers["Retry-After"] = std::to_string(reply.retry_after->count());
  }
  return response;
}

// Until the connection is closed under it.
Task<> wait_for_the_end() {
  boost::asio::steady_timer never(co_await boost::asio::this_coro::executor);
  never.expires_at(boost::asio::steady_timer::time_point::max());
  boost::system::error_code cancelled;
  co_await never.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
}

}  // namespace

StateService::StateService(const std::filesystem::path& database)
    : thread_([this] { loop_.run(); }) {
  on_loop([&] {
    auto store = open_sqlite_store(loop_.get_executor(), database);
    if (!store) throw std::runtime_error(store.error().message);
    store_ = std::move(*store);
  });
  await(store_->put_bundle(BundleHash("bundle"), "content"));
  await(store_->publish({.workspace = kShop,
                         .definition = {.config = "{}", .bundle = BundleHash("bundle")},
                         .first_cursor = clock_.now()},
                        clock_.now()));
}

StateService::~StateService() {
  stop_serving();
  on_loop([&] { store_.reset(); });
  work_.reset();
  loop_.stop();
  thread_.join();
}

void StateService::on_loop(std::function<void()> action) {
  boost::asio::co_spawn(
      loop_,
      [](std::function<void()> act) -> Task<> {
        act();
        co_return;
      }(std::move(action)),
      boost::asio::use_future)
      .get();
}

ClaimedRun StateService::claim() {
  const auto claim_queued = [&] {
    return await(store_->claim_next({.instance = InstanceId("host-1"),
                                     .incarnation = Incarnation("first"),
                                     .claim = random_.claim_id(),
                                     .now = clock_.now()}));
  };
  std::optional<ClaimedRun> claimed = claim_queued();
  if (!claimed) {
    await(store_->enqueue({.id = random_.run_id(clock_.now()),
                           .workspace = kShop,
                           .requested_by = "uid:0",
                           .definition = {.config = "{}", .bundle = BundleHash("bundle")},
                           .created_at = clock_.now()},
                          WhenBusy::kRefuse));
    claimed = claim_queued();
  }
  if (!claimed) throw std::runtime_error("a queued run cannot be claimed");
  await(store_->register_attempt(claimed->fence, {.machine_id = "m", .boot_id = "b"}));
  return *claimed;
}

std::string StateService::serve(const ClaimedRun& claimed, Disturbance disturbance,
                                std::function<void()> kill_tofu) {
  stop_serving();
  std::uint16_t port = 0;
  on_loop([&] {
    conversation_.clear();
    requests_ = 0;
    disturbance_ = disturbance;
    kill_tofu_ = std::move(kill_tofu);
    backend_ = std::make_unique<execution::StoreStateBackend>(*store_, clock_, kSlot, claimed.fence,
                                                              "run " + claimed.run.id.value);
    server_ = std::make_unique<http::Server>(
        loop_.get_executor(), [this](http::Request request) { return answer(std::move(request)); });
    port = server_->listen_tcp("127.0.0.1", 0).value();
  });
  return fmt::format("http://127.0.0.1:{}/state/shop", port);
}

void StateService::stop_serving() {
  on_loop([&] { server_.reset(); });
}

Task<http::Response> StateService::answer(http::Request request) {
  const bool disturbed = ++requests_ == disturbance_.request;
  tofu::StateReply reply;
  std::string fate;
  if (!disturbed || disturbance_.after || disturbance_.kind == Disturbance::Kind::kNone) {
    reply = co_await tofu::answer_state_request(*backend_,
                                                {.method = request.method,
                                                 .lock_id = request.query("ID").value_or(""),
                                                 .content_md5 = request.header("Content-MD5"),
                                                 .body = request.body},
                                                patience_);
    fate = std::to_string(reply.status);
  }
  if (disturbed && disturbance_.kind == Disturbance::Kind::kLostReply) {
    reply = {.status = 503, .retry_after = std::chrono::seconds(0)};
    fate += " lost";
  }
  conversation_.push_back(fmt::format("{} {}", request.method, fate));
  if (disturbed && disturbance_.kind == Disturbance::Kind::kRunnerDies) {
    boost::asio::post(loop_, [this] { server_.reset(); });
    co_await wait_for_the_end();
  }
  if (disturbed && disturbance_.kind == Disturbance::Kind::kTofuDies) {
    kill_tofu_();
    co_await wait_for_the_end();
  }
  co_return response_of(std::move(reply));
}

void StateService::finish(const ClaimedRun& claimed) {
  await(store_->finish_attempt(claimed.fence, {.status = RunStatus::kSucceeded}, clock_.now()));
}

InterruptionOutcome StateService::interrupt(const ClaimedRun& claimed,
                                            std::vector<std::string> recovered) {
  Interruption interruption{.run = claimed.fence.run,
                            .attempt = claimed.fence.attempt,
                            .heartbeat_seq = 1,  // it registered, and no more
                            .reason = "its processes are dead"};
  for (std::string& body : recovered) {
    interruption.recovered.push_back({tofu::parse_state(body).value(), body});
  }
  return await(store_->interrupt_attempt(std::nullopt, std::move(interruption), clock_.now()));
}

std::vector<StateVersion> StateService::versions() { return await(store_->state_versions(kSlot)); }

std::string StateService::body(std::int64_t number) {
  return await(store_->state_body(kSlot, number));
}

std::optional<StateLock> StateService::lock() { return await(store_->state_lock(kSlot)); }

}  // namespace provisioner::testing
