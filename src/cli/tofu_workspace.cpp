#include "cli/tofu_workspace.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "config/bundle.hpp"
#include "http/message.hpp"
#include "tofu/variables.hpp"

namespace provisioner::cli {
namespace {

namespace fs = std::filesystem;

// The last of the files that tofu loads by itself, so that it wins over the workspace's own.
constexpr std::string_view kVariables = "zz_provisioner.auto.tfvars.json";

Status write_private(const fs::path& path, std::string_view text) {
  std::error_code may_be_absent;
  fs::remove(path, may_be_absent);  // never through a link of the content
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno(fmt::format("creating {}", path.string()), errno);
  int failed = 0;
  while (!text.empty() && failed == 0) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    if (written < 0 && errno != EINTR) failed = errno;
  }
  if (close(fd) != 0 && failed == 0) failed = errno;
  if (failed != 0) return fail_errno(fmt::format("writing {}", path.string()), failed);
  return {};
}

}  // namespace

Result<FetchedWorkspace> fetch_workspace(ApiClient& api, const WorkspaceName& name) {
  const std::string path = "/api/v1/workspaces/" + http::encode_component(name.value);
  const auto answer = api.get(path + "/definition");
  if (!answer) return std::unexpected(answer.error());
  FetchedWorkspace fetched;
  try {
    const auto json = nlohmann::json::parse(*answer);
    fetched.definition.config = json.at("config").get<std::string>();
    fetched.definition.bundle = BundleHash(json.at("bundle").get<std::string>());
    fetched.mode = json.at("mode").get<std::string>();
    fetched.lock_file = json.at("lock_file").get<std::string>();
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorKind::kInternal,
                fmt::format("the daemon's answer is no definition: {}", error.what()));
  }
  auto bundle = api.get(fmt::format("{}/bundle?hash={}", path, fetched.definition.bundle.value));
  if (!bundle) return std::unexpected(bundle.error());
  fetched.bundle = std::move(*bundle);
  return fetched;
}

Result<TofuWorkspace> TofuWorkspace::make(const FetchedWorkspace& fetched) {
  std::error_code error;
  const fs::path temporary = fs::temp_directory_path(error);
  if (error) return fail_errno("looking for the temporary directory", error.value());
  std::string name = (temporary / "provisioner-tofu-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    return fail_errno(fmt::format("making a directory in {}", temporary.string()), errno);
  }
  TofuWorkspace workspace{fs::path(name)};
  const fs::path unpacked = workspace.root_ / "bundle";
  fs::create_directory(unpacked, error);
  if (error) return fail_errno(fmt::format("creating {}", unpacked.string()), error.value());
  const auto folder = unpack_bundle(fetched.bundle, unpacked);
  if (!folder) return fail("unpacking the workspace's content", folder.error());
  fs::create_directory_symlink(folder->lexically_relative(workspace.root_), workspace.content(),
                               error);
  if (error) {
    return fail_errno(fmt::format("linking {}", workspace.content().string()), error.value());
  }
  if (!fetched.lock_file.empty()) {
    const auto locked =
        write_private(workspace.content() / ".terraform.lock.hcl", fetched.lock_file);
    if (!locked) return std::unexpected(locked.error());
  }
  return workspace;
}

TofuWorkspace::~TofuWorkspace() {
  if (root_.empty() || keep_) return;
  std::error_code error;
  fs::remove_all(root_, error);
  if (error) fmt::print(stderr, "provisioner: removing {}: {}\n", root_.string(), error.message());
}

Status TofuWorkspace::complete(std::string_view variables, bool own_backend) const {
  if (!variables.empty()) {
    auto written = write_private(content() / kVariables, variables);
    if (!written) return written;
  }
  if (own_backend) return {};
  return write_private(content() / tofu::kOverrideFile, tofu::override_file_text());
}

fs::path TofuWorkspace::errored_state() const {
  const fs::path file = content() / "errored.tfstate";
  std::error_code unknown_is_absent;
  return fs::exists(file, unknown_is_absent) ? file : fs::path();
}

void TofuWorkspace::keep() {
  keep_ = true;
  std::error_code error;
  fs::remove(content() / kVariables, error);
  if (error) {
    fmt::print(stderr, "provisioner: removing {}: {}\n", (content() / kVariables).string(),
               error.message());
  }
}

}  // namespace provisioner::cli
