#include "execution/store_state_backend.hpp"

#include "tofu/state_body.hpp"

namespace provisioner::execution {

Task<Result<std::optional<std::string>>> StoreStateBackend::read() {
  const auto current = co_await store_.current_state(slot_);
  if (!current) co_return std::unexpected(current.error());
  if (!*current) co_return std::nullopt;
  auto body = co_await store_.state_body(slot_, (*current)->number);
  if (!body) co_return std::unexpected(body.error());
  co_return std::move(*body);
}

Task<Result<std::optional<std::string>>> StoreStateBackend::lock(std::string lock_id,
                                                                 std::string info_json) {
  StateLock lock;
  lock.id = std::move(lock_id);
  lock.info_json = std::move(info_json);
  lock.created_at = clock_.now();
  if (by_) {
    lock.run = by_->run;
    lock.attempt = by_->attempt;
  }
  const auto in_the_way = co_await store_.lock_state(slot_, by_, std::move(lock));
  if (!in_the_way) co_return std::unexpected(in_the_way.error());
  if (!*in_the_way) co_return std::nullopt;
  co_return (*in_the_way)->info_json;
}

Task<Status> StoreStateBackend::unlock(std::string lock_id) {
  if (!lock_id.empty()) co_return co_await store_.unlock_state(slot_, by_, std::move(lock_id));
  // Terraform's force-unlock names no lock. An attempt may only release what it holds itself.
  const auto lock = co_await store_.state_lock(slot_);
  if (!lock) co_return std::unexpected(lock.error());
  if (!*lock) co_return Status();
  co_return co_await store_.unlock_state(slot_, by_, (*lock)->id);
}

Task<Status> StoreStateBackend::write(std::string lock_id, std::string body) {
  auto meta = tofu::parse_state(body);
  if (!meta) co_return std::unexpected(meta.error());
  const auto written = co_await store_.write_state(slot_, by_, std::move(lock_id), std::move(*meta),
                                                   std::move(body), actor_, clock_.now());
  if (!written) co_return std::unexpected(written.error());
  co_return Status();
}

}  // namespace provisioner::execution
