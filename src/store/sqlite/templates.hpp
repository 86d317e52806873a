// Templates. Their content is among the bundles.
#pragma once

#include <string>
#include <vector>

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

Result<std::vector<Template>> templates(Transaction& tx);
Result<Template> template_named(Transaction& tx, const TemplateName& name);
Result<Template> put_template(Transaction& tx, const Template& row);
Status remove_template(Transaction& tx, const TemplateName& name);

// "" when there is no such template.
BundleHash present_content(Transaction& tx, const std::string& name);

}  // namespace provisioner::sqlite
