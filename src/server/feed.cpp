#include "server/feed.hpp"

#include <algorithm>

namespace provisioner::server {

Feed::Feed(Store& store)
    : subscription_(store.subscribe([this](const Change& change) { take(change); })) {}

void Feed::take(const Change& change) {
  if (change.topic == Change::Topic::kLog) return;
  kept_.push_back(change);
  ++newest_;
  if (kept_.size() > kKept) kept_.pop_front();
  for (Signal* listener : *listeners_) listener->notify();
}

std::optional<Feed::News> Feed::after(std::uint64_t number) const {
  if (number > newest_ || newest_ - number > kept_.size()) return std::nullopt;
  News news{.until = newest_, .changes = {}};
  std::set<std::pair<Change::Topic, std::string>> seen;
  const auto fresh = static_cast<std::ptrdiff_t>(newest_ - number);
  for (auto it = kept_.rbegin(); it != kept_.rbegin() + fresh; ++it) {
    if (seen.emplace(it->topic, it->key).second) news.changes.push_back(*it);
  }
  std::ranges::reverse(news.changes);
  return news;
}

std::shared_ptr<void> Feed::listen(Signal& signal) {
  listeners_->insert(&signal);
  return {nullptr, [listeners = listeners_, &signal](void*) { listeners->erase(&signal); }};
}

}  // namespace provisioner::server
