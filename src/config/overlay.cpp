#include "config/overlay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "config/bundle_paths.hpp"
#include "config/content_check.hpp"
#include "config/fingerprint.hpp"
#include "config/tar.hpp"

namespace provisioner {
namespace {

struct Piece {
  const BundleEntry* entry = nullptr;
  std::string_view content;
};
using Pieces = std::map<std::string, Piece>;

bool is_override_file(std::string_view name) {
  const auto stem = name.substr(0, name.find('.'));
  return stem == "override" || stem.ends_with("_override");
}

// One of them is a file where the other is a folder.
bool clashes(const Pieces& pieces, const std::string& path) {
  const auto below = pieces.lower_bound(path + '/');
  if (below != pieces.end() && is_within(below->first, path)) return true;
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    if (pieces.contains(path.substr(0, slash))) return true;
  }
  return false;
}

Status append(const std::string& path, const Piece& piece, Bundle& bundle) {
  const BundleEntry& from = *piece.entry;
  tar::Header header{.path = path,
                     .size = from.size,
                     .executable = from.executable,
                     .link_target = from.link_target};
  if (!from.link_target.empty()) header.type = tar::Type::kLink;
  if (auto done = tar::append_header(bundle.bytes, header); !done) return done;
  bundle.entries.push_back(
      {path, bundle.bytes.size(), from.size, from.link_target, from.executable});
  bundle.bytes += piece.content;
  tar::append_padding(bundle.bytes);
  return {};
}

}  // namespace

bool has_own_content(const Bundle& own) {
  return std::ranges::any_of(own.entries, [&](const BundleEntry& entry) {
    std::string_view path = entry.path;
    if (!is_within(path, own.folder)) return false;
    if (!own.folder.empty()) path.remove_prefix(own.folder.size() + 1);
    return path.find('/') == std::string_view::npos && is_tofu_file(path) &&
           !is_override_file(path);
  });
}

Result<Bundle> laid_over(const Bundle& own, std::string_view base) {
  const auto listing = list_bundle(base);
  if (!listing) return std::unexpected(listing.error());
  Pieces pieces;
  std::size_t size = 4 * tar::kBlock;  // the folder and the end
  for (const BundleEntry& entry : own.entries) {
    pieces.emplace(entry.path, Piece{&entry, own.content(entry)});
    size += tar::stored_size(entry.size);
  }
  std::vector<std::pair<std::string, Piece>> added;
  for (const BundleEntry& entry : listing->entries) {
    std::string path = own.folder.empty() ? entry.path : own.folder + '/' + entry.path;
    if (pieces.contains(path) || clashes(pieces, path)) continue;
    size += tar::stored_size(entry.size);
    added.emplace_back(std::move(path), Piece{&entry, base.substr(entry.offset, entry.size)});
  }
  if (size > kMostBundleBytes) {
    return fail(ErrorKind::kInvalid, "the folder and its template are larger than 64 MB together");
  }
  for (auto& [path, piece] : added) pieces.emplace(std::move(path), piece);

  Bundle bundle;
  bundle.folder = own.folder;
  bundle.bytes.reserve(size);
  bundle.entries.reserve(pieces.size());
  const tar::Header folder{.path = own.folder.empty() ? "./" : own.folder + "/",
                           .type = tar::Type::kFolder};
  if (auto done = tar::append_header(bundle.bytes, folder); !done) {
    return std::unexpected(done.error());
  }
  for (const auto& [path, piece] : pieces) {
    if (auto done = append(path, piece, bundle); !done) return std::unexpected(done.error());
  }
  tar::append_end(bundle.bytes);
  bundle.hash = BundleHash(sha256_hex(bundle.bytes));
  return bundle;
}

}  // namespace provisioner
