// .terraform (modules, providers, backend settings) on its way from one attempt of a workspace to
// the next, so that `init` can be left out. It is moved, not copied: an attempt that dies takes it
// along, and the next one begins with a whole init.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.hpp"

namespace provisioner::runner {

class InitCache {
 public:
  // `fingerprint` names the content that init depends on; "" = nothing is ever up to date.
  InitCache(std::filesystem::path cache_directory, std::filesystem::path working_directory,
            std::string fingerprint);

  // Moves what is cached into the working directory. True when init may be left out: it was made
  // for the same content and the lock file that lies in the working directory.
  bool fetch();

  // Moves .terraform back. `initialised`: init has succeeded for the present content.
  Status keep(bool initialised) const;

  // The present .terraform.lock.hcl; "" = none.
  std::string lock_file() const;

 private:
  std::filesystem::path mark() const { return cache_ / "fingerprint"; }
  std::string fingerprint_now() const { return fingerprint_ + "\n" + lock_file(); }

  std::filesystem::path cache_;
  std::filesystem::path working_;
  std::string fingerprint_;
};

}  // namespace provisioner::runner
