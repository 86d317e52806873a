#include "store/sqlite/templates.hpp"

#include <fmt/format.h>

#include "store/sqlite/workspaces.hpp"
#include "store/template_rows.hpp"

namespace provisioner::sqlite {

Result<std::vector<Template>> templates(Transaction& tx) {
  auto query = tx.sql(fmt::format("SELECT {} FROM templates ORDER BY name", kTemplateColumns));
  std::vector<Template> all;
  while (query.step()) all.push_back(read_template(query.row()));
  return all;
}

Result<Template> template_named(Transaction& tx, const TemplateName& name) {
  auto query = tx.sql(fmt::format("SELECT {} FROM templates WHERE name = ?", kTemplateColumns));
  query.bind(name);
  if (query.step()) return read_template(query.row());
  return std::unexpected(no_such_template(name));
}

BundleHash present_content(Transaction& tx, const std::string& name) {
  auto query = tx.sql("SELECT content_hash FROM templates WHERE name = ?");
  query.bind(name);
  return query.step() ? query.row().as<BundleHash>() : BundleHash();
}

Result<Template> put_template(Transaction& tx, const Template& row) {
  const Template& t = row;
  if (!has_bundle(tx, t.bundle)) return std::unexpected(unknown_content(t));
  const auto present = template_named(tx, t.name);
  if (t.version == Version(0)) {
    if (present) return std::unexpected(template_name_taken(t.name));
    tx.sql(fmt::format("INSERT INTO templates ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
                       kTemplateColumns))
        .run(t.name, t.source.url, t.source.path, t.source.ref, t.description, t.commit, t.bundle,
             t.created_at, t.updated_at);
  } else {
    if (!present) return present;
    // A write that another one came before changes nothing.
    if (present->version != t.version) return std::unexpected(template_has_changed(t));
    tx.sql(
          "UPDATE templates SET source_url = ?, source_path = ?, source_ref = ?, description = ?, "
          "commit_id = ?, content_hash = ?, created_at = ?, updated_at = ?, version = version + 1 "
          "WHERE name = ?")
        .run(t.source.url, t.source.path, t.source.ref, t.description, t.commit, t.bundle,
             t.created_at, t.updated_at, t.name);
  }
  tx.announce(Change::Topic::kTemplate, t.name.value);
  return template_named(tx, t.name);
}

Status remove_template(Transaction& tx, const TemplateName& name) {
  if (tx.sql("DELETE FROM templates WHERE name = ?").run(name) == 0) {
    return std::unexpected(no_such_template(name));
  }
  tx.announce(Change::Topic::kTemplate, name.value);
  return {};
}

}  // namespace provisioner::sqlite
