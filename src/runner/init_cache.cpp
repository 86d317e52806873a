#include "runner/init_cache.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

namespace provisioner::runner {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

InitCache::InitCache(fs::path cache_directory, fs::path working_directory, std::string fingerprint)
    : cache_(std::move(cache_directory)),
      working_(std::move(working_directory)),
      fingerprint_(std::move(fingerprint)) {}

std::string InitCache::lock_file() const { return text_of(working_ / ".terraform.lock.hcl"); }

bool InitCache::fetch() {
  if (cache_.empty()) return false;
  const bool current = !fingerprint_.empty() && text_of(mark()) == fingerprint_now();
  std::error_code error;
  fs::remove(mark(), error);
  fs::rename(cache_ / ".terraform", working_ / ".terraform", error);
  return current && !error;
}

Status InitCache::keep(bool initialised) const {
  if (cache_.empty() || !fs::exists(working_ / ".terraform")) return {};
  std::error_code error;
  fs::create_directories(cache_, error);
  fs::remove(mark(), error);
  fs::remove_all(cache_ / ".terraform", error);
  fs::rename(working_ / ".terraform", cache_ / ".terraform", error);
  if (error) {
    return fail(ErrorKind::kIo,
                fmt::format("keeping .terraform for the next run: {}", error.message()));
  }
  if (!initialised || fingerprint_.empty()) return {};
  // Not durable: nor is what it vouches for. Half a mark equals no fingerprint.
  std::ofstream file(mark(), std::ios::binary);
  file << fingerprint_now();
  file.close();
  if (!file) return fail(ErrorKind::kIo, fmt::format("cannot write {}", mark().string()));
  return {};
}

}  // namespace provisioner::runner
