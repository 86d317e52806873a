// The content of a workspace as one value: a folder's files as a deterministic tar, named by its
// hash. `tar tvf` reads it.
//
// Paths in the archive begin at the nearest common folder of the workspace and what it includes, so
// that "../../modules/vpc" keeps its meaning; the first entry is the workspace's own folder ("./"
// when nothing is included). Owners and times are zero, the executable bit is kept, symbolic links
// stay links.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace provisioner {

inline constexpr std::size_t kMostBundleBytes = 64 * 1024 * 1024;

struct BundleEntry {
  std::string path;        // in the archive, with '/': "main.tf", "workspaces/shop/main.tf"
  std::size_t offset = 0;  // of the content in Bundle::bytes
  std::size_t size = 0;
  std::string link_target;  // not empty: a symbolic link
  bool executable = false;
};

struct Bundle {
  BundleHash hash;                   // SHA-256 of bytes
  std::string bytes;                 // ustar
  std::string folder;                // of the workspace in the archive: "" or "workspaces/shop"
  std::vector<BundleEntry> entries;  // sorted by path; files and links, not folders

  std::string_view content(const BundleEntry& entry) const {
    return std::string_view(bytes).substr(entry.offset, entry.size);
  }
  bool has_tofu_files() const;  // *.tf, *.tf.json, *.tofu or *.tofu.json in the workspace's folder
};

// All regular files and links below `folder` and below each path of `include` (relative to
// `folder`), without .git, .terraform, *.tfstate*, *.tfplan, editor temporaries, config.json and
// what `.provisionerignore` at the top of each of them names. Blocking.
// kInvalid: too large, a link or an include that leads out; says which. kUnavailable: a file
// changed while it was read; settle and try again. kNotFound, kDenied, kIo as the system says.
Result<Bundle> build_bundle(const std::filesystem::path& folder,
                            std::span<const std::string> include);

// The bundle of what has no files.
Bundle empty_bundle();

// The entries of an archive as build_bundle makes them. kCorrupt: it is not one, or a path or link
// in it leads out.
struct BundleListing {
  std::string folder;  // as Bundle::folder
  std::vector<BundleEntry> entries;
};
Result<BundleListing> list_bundle(std::string_view bytes);

// Writes the files below `directory`, which exists, and returns the workspace's own folder in it.
// Never writes outside of it, whatever the bytes say (kCorrupt). Files that are there already are
// replaced, others stay.
Result<std::filesystem::path> unpack_bundle(std::string_view bytes,
                                            const std::filesystem::path& directory);

// A `module` block's source, as a scanner of the content found it.
struct ModuleSource {
  std::string file;  // BundleEntry::path
  std::int64_t line = 0;
  std::string source;  // "../modules/vpc", "hashicorp/consul/aws", ...
};

// The folder, in the archive, that a local source (./ or ../) names; nullopt for other sources.
// kInvalid "main.tf:12: the module source ../../vpc is not part of ..." if the bundle lacks it.
Result<std::optional<std::string>> find_module(const Bundle& bundle, const ModuleSource& module);

}  // namespace provisioner
