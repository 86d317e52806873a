// The rows of templates, read alike by every store: a store's Row in, a value out.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "store/store.hpp"

namespace provisioner {

inline constexpr std::string_view kTemplateColumns =
    "name, source_url, source_path, source_ref, description, commit_id, content_hash, created_at, "
    "updated_at, version";

template <typename Row>
Template read_template(Row row) {
  return {.name = row.template as<TemplateName>(),
          .source = {.url = row.text(), .path = row.text(), .ref = row.text()},
          .description = row.text(),
          .commit = row.text(),
          .bundle = row.template as<BundleHash>(),
          .created_at = row.instant(),
          .updated_at = row.instant(),
          .version = row.template as<Version>()};
}

inline Error no_such_template(const TemplateName& name) {
  return {ErrorKind::kNotFound, fmt::format("there is no template {}", name.value)};
}

inline Error template_name_taken(const TemplateName& name) {
  return {ErrorKind::kConflict, fmt::format("template {} exists already", name.value)};
}

inline Error unknown_content(const Template& row) {
  return {ErrorKind::kInvalid, fmt::format("bundle {} of template {} was not stored before",
                                           row.bundle.value, row.name.value)};
}

inline Error template_has_changed(const Template& row) {
  return {ErrorKind::kVersionConflict,
          fmt::format("template {} has no longer version {}: somebody changed it meanwhile",
                      row.name.value, row.version.value)};
}

}  // namespace provisioner
