#include <fmt/format.h>

#include "store/cluster_rows.hpp"

namespace provisioner {

Status check_transfer(const Leadership& present, const InstanceId& to) {
  if (present.leader.empty()) {
    return fail(ErrorKind::kConflict, "nobody leads: there is nothing to hand over");
  }
  if (present.leader == to) {
    return fail(ErrorKind::kConflict, fmt::format("{} leads already", to.value));
  }
  return {};
}

Error id_taken(const Instance& present) {
  return {ErrorKind::kConflict,
          fmt::format("another instance has entered under the id {} (home {})", present.id.value,
                      present.home)};
}

}  // namespace provisioner
