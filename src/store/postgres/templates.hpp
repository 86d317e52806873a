// Templates. Their content is among the bundles.
#pragma once

#include <string>
#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<std::vector<Template>>> templates(Transaction& tx);
Task<Result<Template>> template_named(Transaction& tx, const TemplateName& name);
Task<Result<Template>> put_template(Transaction& tx, const Template& row);
Task<Status> remove_template(Transaction& tx, const TemplateName& name);

}  // namespace provisioner::postgres
