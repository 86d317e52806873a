// In which order the jobs of a workspace stand, by their depends_on. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "model/job.hpp"

namespace provisioner {

struct JobOrder {
  // Of each job: how many stand before it. Whoever waits stands behind those it waits for; else the
  // order of the file counts. Template jobs are destroyed from the last to the first.
  std::vector<std::size_t> positions;
  std::vector<std::size_t> in_order;  // the jobs' indexes, the other way round
  std::string circle;                 // "a -> b -> a"; then there is no order. "" = none
};

// Names that no job has are left out of account.
JobOrder order_of(const std::vector<JobSpec>& jobs);

}  // namespace provisioner
