// Content that several workspaces share: a folder of a Git repository, as it was last fetched.
#pragma once

#include <string>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace provisioner {

struct TemplateSource {
  std::string url;   // https, ssh or file
  std::string path;  // a folder of the repository; "" = all of it
  std::string ref;   // branch, tag or commit; "" = what the repository's HEAD names

  friend bool operator==(const TemplateSource&, const TemplateSource&) = default;
};

struct Template {
  TemplateName name;
  TemplateSource source;
  std::string description;
  std::string commit;  // that the content is of, in hex; "" = not known (imported)
  BundleHash bundle;   // the content
  Instant created_at;
  Instant updated_at;  // when the content or the source last became another one
  Version version;     // grows with every write of the row; 0 = not stored yet

  friend bool operator==(const Template&, const Template&) = default;
};

}  // namespace provisioner
