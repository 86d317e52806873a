// A person's private copy of a workspace: what tofu needs to work on it by hand.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "cli/api_client.hpp"
#include "model/workspace.hpp"

namespace provisioner::cli {

// What the daemon says of a workspace. kNotFound when there is no such.
struct FetchedWorkspace {
  Definition definition;
  std::string mode;
  std::string lock_file;  // "" = none
  std::string bundle;     // the bytes
};
Result<FetchedWorkspace> fetch_workspace(ApiClient& api, const WorkspaceName& name);

// Below the system's temporary directory, for this user only; laid out as an attempt's directory,
// so that secrets, binary and environment are found as they are for a run. The destructor removes
// it, unless it was told to keep it.
class TofuWorkspace {
 public:
  static Result<TofuWorkspace> make(const FetchedWorkspace& fetched);
  TofuWorkspace(TofuWorkspace&& other) noexcept : root_(std::exchange(other.root_, {})) {}
  TofuWorkspace& operator=(TofuWorkspace&&) = delete;
  ~TofuWorkspace();

  // tofu's working directory.
  std::filesystem::path content() const { return root_ / "content"; }
  const std::filesystem::path& root() const { return root_; }

  // Writes what the files of the workspace do not say: its variables (0600, "" = none) and, unless
  // it keeps a backend of its own, ours.
  Status complete(std::string_view variables, bool own_backend) const;

  // The state that tofu could not hand over; "" = none.
  std::filesystem::path errored_state() const;
  // Leaves the directory behind, without the secrets among the variables.
  void keep();

 private:
  explicit TofuWorkspace(std::filesystem::path root) : root_(std::move(root)) {}

  std::filesystem::path root_;
  bool keep_ = false;
};

}  // namespace provisioner::cli
