#include "templates/registry.hpp"

#include <fmt/format.h>

#include <utility>

#include "templates/git_address.hpp"

namespace provisioner {
namespace {

std::unexpected<TemplateFailure> of_source(Error error) {
  return std::unexpected(TemplateFailure{.error = std::move(error), .of_source = true});
}
std::unexpected<TemplateFailure> failed(Error error) {
  return std::unexpected(TemplateFailure{.error = std::move(error)});
}

}  // namespace

Task<TemplateRegistry::Outcome<Template>> TemplateRegistry::add(TemplateName name,
                                                                TemplateSource source,
                                                                std::string description) {
  auto checked = checked_source(source);
  if (!checked) co_return failed(checked.error());
  // Before a fetch that would be for nothing; put_template() decides.
  if (const auto taken = co_await store_.template_named(name); taken) {
    co_return failed(
        {ErrorKind::kConflict,
         fmt::format("template {} exists already: update it, or choose another name", name.value)});
  }
  auto fetched = co_await fetcher_.fetch({.source = *checked, .unless_commit = ""});
  if (!fetched) co_return of_source(fetched.error());
  const Instant now = clock_.now();
  const Template wanted{.name = name,
                        .source = *std::move(checked),
                        .description = std::move(description),
                        .commit = fetched->commit,
                        .bundle = fetched->bundle->hash,
                        .created_at = now,
                        .updated_at = now};
  if (auto put = co_await store_.put_bundle(wanted.bundle, std::move(fetched->bundle->bytes));
      !put) {
    co_return failed(put.error());
  }
  auto row = co_await store_.put_template(wanted);
  if (!row) co_return failed(row.error());
  log_.info("template added",
            {{"template", name.value}, {"source", shown(row->source)}, {"commit", row->commit}});
  co_return *std::move(row);
}

Task<TemplateRegistry::Outcome<TemplateUpdate>> TemplateRegistry::update(TemplateName name,
                                                                         TemplateChanges changes) {
  const auto before = co_await store_.template_named(name);
  if (!before) co_return failed(before.error());
  Template wanted = *before;
  TemplateSource source = before->source;
  if (changes.url) source.url = *changes.url;
  if (changes.path) source.path = *changes.path;
  if (changes.ref) source.ref = *changes.ref;
  if (changes.description) wanted.description = *changes.description;
  auto checked = checked_source(source);
  if (!checked) co_return failed(checked.error());
  wanted.source = *std::move(checked);

  const bool same_files =
      wanted.source.url == before->source.url && wanted.source.path == before->source.path;
  auto fetched = co_await fetcher_.fetch(
      {.source = wanted.source, .unless_commit = same_files ? before->commit : ""});
  if (!fetched) co_return of_source(fetched.error());
  wanted.commit = fetched->commit;
  if (fetched->bundle) {
    wanted.bundle = fetched->bundle->hash;
    if (auto put = co_await store_.put_bundle(wanted.bundle, std::move(fetched->bundle->bytes));
        !put) {
      co_return failed(put.error());
    }
  }
  co_return co_await store_update(*before, std::move(wanted));
}

Task<TemplateRegistry::Outcome<TemplateUpdate>> TemplateRegistry::store_update(Template before,
                                                                               Template wanted) {
  if (wanted == before) co_return TemplateUpdate{.row = std::move(before)};
  wanted.updated_at = clock_.now();
  auto row = co_await store_.put_template(wanted);
  if (!row && row.error().kind == ErrorKind::kVersionConflict) {
    // Two that fetched the same at once agree.
    const auto present = co_await store_.template_named(wanted.name);
    const bool agrees = present && present->bundle == wanted.bundle &&
                        present->commit == wanted.commit && present->source == wanted.source &&
                        present->description == wanted.description;
    if (agrees) row = *present;
  }
  if (!row) co_return failed(row.error());
  const bool content_changed = row->bundle != before.bundle;
  log_.info(
      content_changed ? "template updated" : "template updated, its content is the same",
      {{"template", row->name.value}, {"source", shown(row->source)}, {"commit", row->commit}});
  co_return TemplateUpdate{.row = *std::move(row), .content_changed = content_changed};
}

Task<TemplateRegistry::Outcome<TemplateVerdict>> TemplateRegistry::validate(TemplateName name) {
  auto row = co_await store_.template_named(name);
  if (!row) co_return failed(row.error());
  auto fetched = co_await fetcher_.fetch({.source = row->source, .unless_commit = ""});
  if (!fetched && fetched.error().kind == ErrorKind::kCancelled) co_return failed(fetched.error());
  TemplateVerdict verdict{.row = *std::move(row)};
  if (!fetched) {
    verdict.problem = fetched.error().message;
  } else {
    verdict.commit = fetched->commit;
    verdict.is_newer = fetched->bundle->hash != verdict.row.bundle;
  }
  co_return verdict;
}

}  // namespace provisioner
