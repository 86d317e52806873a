// Paths inside an archive: text with '/', no leading '/', no "." or "..". For this room.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace provisioner {

// Whether `path` is `folder` or lies below it; everything lies below "".
bool is_within(std::string_view path, std::string_view folder);

// Not absolute, no empty part, no "." and no "..".
bool is_plain_path(std::string_view path);

// Where the link at `path` leads; nullopt if it is absolute or leaves the archive. A target may go
// up only at its beginning ("../../a/b", not "a/../b"): so it stays inside however other links are
// resolved on the way.
std::optional<std::string> resolve_link(std::string_view path, std::string_view target);

}  // namespace provisioner
