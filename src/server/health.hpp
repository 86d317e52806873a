// How this instance and what it depends on are. Pure, apart from HealthWatch, which asks.
#pragma once

#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "runtime/clock.hpp"
#include "runtime/task.hpp"

namespace provisioner::server {

// In order: the worst of several is the greatest.
enum class Health { kHealthy, kDegraded, kUnhealthy };
std::string_view to_string(Health health);  // "healthy", "degraded", "unhealthy"

struct HealthCheck {
  std::string name;
  Health health = Health::kHealthy;
  std::string message;
  Duration took{};  // of the last answer
};

Health worst_of(const std::vector<HealthCheck>& checks);

// What is known of one thing that is asked again and again.
struct Observation {
  std::optional<BootInstant> asked_at;  // the question that is under way
  std::optional<Status> answer;         // the last one
  Duration took{};                      // it
  std::optional<BootInstant> failing_since;
};

// What fails is asked again so soon.
inline constexpr Duration kAgain = std::chrono::seconds(1);

// An answer in good order after more than kSlow, or none for so long, is degraded. A failure is
// degraded at first, for a restart takes a moment, and `when_failing` after kPatience.
inline constexpr Duration kSlow = std::chrono::seconds(5);
inline constexpr Duration kPatience = std::chrono::seconds(3);
HealthCheck judge(std::string name, const Observation& seen, Health when_failing, BootInstant now);

// Asks in the background, each subject by itself: a slow one holds up no other, and no probe ever
// waits. Loop only.
class HealthWatch {
 public:
  struct Subject {
    std::string name;
    std::function<Task<Status>()> ask;  // an error is what is wrong
    Duration every{};
    Health when_failing = Health::kUnhealthy;
  };
  explicit HealthWatch(Clock& clock) : clock_(clock) {}

  // Until cancelled.
  Task<> watch(Subject subject);

  // As of now, in the order in which the watches began.
  std::vector<HealthCheck> checks() const;

 private:
  struct Watched {
    std::string name;
    Health when_failing;
    Observation seen;
  };

  Clock& clock_;
  std::list<Watched> watched_;
};

}  // namespace provisioner::server
