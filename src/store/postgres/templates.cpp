#include "store/postgres/templates.hpp"

#include <fmt/format.h>

#include "store/template_rows.hpp"

namespace provisioner::postgres {

Task<Result<std::vector<Template>>> templates(Transaction& tx) {
  static const std::string text =
      fmt::format("SELECT {} FROM templates ORDER BY name", kTemplateColumns);
  std::vector<Template> all;
  for (Row row : co_await tx.query(text)) all.push_back(read_template(row));
  co_return all;
}

Task<Result<Template>> template_named(Transaction& tx, const TemplateName& name) {
  static const std::string text =
      fmt::format("SELECT {} FROM templates WHERE name = $1", kTemplateColumns);
  const Rows rows = co_await tx.query(text, name);
  if (rows.empty()) co_return std::unexpected(no_such_template(name));
  co_return read_template(rows[0]);
}

Task<Result<Template>> put_template(Transaction& tx, const Template& row) {
  static const std::string insert = fmt::format(
      "INSERT INTO templates ({0}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1) ON CONFLICT "
      "(name) DO NOTHING RETURNING {0}",
      kTemplateColumns);
  // A write that another one came before changes nothing.
  static const std::string update = fmt::format(
      "UPDATE templates SET source_url = $2, source_path = $3, source_ref = $4, description = $5, "
      "commit_id = $6, content_hash = $7, created_at = $8, updated_at = $9, version = version + 1 "
      "WHERE name = $1 AND version = $10 RETURNING {}",
      kTemplateColumns);
  const Template& t = row;
  // Held, so that no pruning takes it away before the template names it.
  const auto bundle = tx.lock("SELECT 1 FROM bundles WHERE hash = $1 FOR KEY SHARE", t.bundle);
  if ((co_await tx.rows(bundle)).empty()) co_return std::unexpected(unknown_content(t));
  const bool is_new = t.version == Version(0);
  const Rows written =
      is_new ? co_await tx.sent(insert, t.name, t.source.url, t.source.path, t.source.ref,
                                t.description, t.commit, t.bundle, t.created_at, t.updated_at)
             : co_await tx.sent(update, t.name, t.source.url, t.source.path, t.source.ref,
                                t.description, t.commit, t.bundle, t.created_at, t.updated_at,
                                t.version);
  if (written.empty()) {
    if (is_new) co_return std::unexpected(template_name_taken(t.name));
    const auto present = co_await template_named(tx, t.name);
    if (!present) co_return present;
    co_return std::unexpected(template_has_changed(t));
  }
  tx.announce(Change::Topic::kTemplate, t.name.value);
  co_return read_template(written[0]);
}

Task<Status> remove_template(Transaction& tx, const TemplateName& name) {
  const Rows removed = co_await tx.sent("DELETE FROM templates WHERE name = $1", name);
  if (removed.changed() == 0) co_return std::unexpected(no_such_template(name));
  tx.announce(Change::Topic::kTemplate, name.value);
  co_return Status();
}

}  // namespace provisioner::postgres
