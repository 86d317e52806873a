// The text of the schema.
#pragma once

#include <span>

namespace provisioner::postgres {

struct Migration {
  const char* name;
  const char* sql;
};

// In order: the first is number 1.
std::span<const Migration> all_migrations();

}  // namespace provisioner::postgres
