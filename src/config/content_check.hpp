// What the files of a bundle say that matters before tofu reads them.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/bundle.hpp"

namespace provisioner {

// What a *.tf, *.tofu or *.json file of the content says. The scanner lives in the room tofu; the
// caller passes it in.
struct ContentFacts {
  std::vector<ModuleSource> modules;   // ModuleSource::file may stay empty
  std::vector<std::string> variables;  // names of `variable` blocks
};
using ContentScan =
    std::function<Result<ContentFacts>(std::string_view path, std::string_view text)>;

// *.tf, *.tf.json, *.tofu, *.tofu.json.
bool is_tofu_file(std::string_view path);

// What a bundle's own folder and the modules that it reaches say; unused folders of an included
// path may be broken. Both arguments outlive it.
class ContentCheck {
 public:
  ContentCheck(const Bundle& bundle, const ContentScan& scan) : bundle_(bundle), scan_(scan) {}

  // kInvalid: a local module that is not part of the bundle, a link that leads nowhere, and what
  // `scan` refuses.
  Status follow_modules();

  // Of the bundle's own folder; complete after follow_modules().
  const std::set<std::string>& variables() const { return variables_; }

 private:
  Result<std::vector<ModuleSource>> scan_folder(const std::string& folder);
  Result<std::string_view> text_of(const BundleEntry& first) const;

  const Bundle& bundle_;
  const ContentScan& scan_;
  std::set<std::string> variables_;
};

}  // namespace provisioner
