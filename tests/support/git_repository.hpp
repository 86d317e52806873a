// A Git repository of a test's own.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/program.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::testing {

class GitRepository {
 public:
  GitRepository() { git({"init", "--quiet", "--initial-branch=main"}); }

  void write(const std::string& file, std::string_view text) {
    write_file(directory_ / file, text);
  }
  std::filesystem::path path() const { return directory_.path(); }
  std::string url() const { return "file://" + directory_.path().string(); }

  // All that is there; the commit's id.
  std::string commit(const std::string& message = "next") {
    git({"add", "--all"});
    git({"commit", "--quiet", "--allow-empty", "-m", message});
    return git({"rev-parse", "HEAD"});
  }

  // What it printed, without the line's end; throws unless it succeeds.
  std::string git(std::vector<std::string> arguments) const {
    std::vector<std::string> all = {"git",
                                    "-C",
                                    directory_.path().string(),
                                    "-c",
                                    "user.name=test",
                                    "-c",
                                    "user.email=test@example.org",
                                    "-c",
                                    "commit.gpgSign=false",
                                    "-c",
                                    "protocol.file.allow=always"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    auto done = run_program(all);
    if (done.code != 0) throw std::runtime_error("git " + arguments.front() + ": " + done.err);
    while (done.out.ends_with('\n')) done.out.pop_back();
    return done.out;
  }

 private:
  TempDirectory directory_;
};

}  // namespace provisioner::testing
