#include "templates/fetch.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/text.hpp"
#include "templates/content_check.hpp"
#include "templates/git_address.hpp"
#include "templates/remote_refs.hpp"
#include "templates/repository_tree.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostRefs = std::size_t{32} << 20;
constexpr std::size_t kMostTree = std::size_t{64} << 20;
constexpr const char* kFetched = "refs/fetched/it";

// A folder that goes with its owner.
class Scratch {
 public:
  static Result<Scratch> make(const fs::path& above) {
    std::string name = (above / "XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return fail_errno("making a folder to fetch to", errno);
    return Scratch(name);
  }
  ~Scratch() {
    std::error_code swept_at_the_next_start;
    if (!path_.empty()) fs::remove_all(path_, swept_at_the_next_start);
  }
  Scratch(Scratch&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  fs::path repository() const { return path_ / "repository"; }
  fs::path files() const { return path_ / "files"; }

 private:
  explicit Scratch(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

bool says_any(std::string_view text, std::initializer_list<std::string_view> phrases) {
  return std::ranges::any_of(phrases, [&](auto phrase) { return text.contains(phrase); });
}

// What git printed, as one line for people: the causes, without its advice.
std::string sentence_of(std::string_view printed) {
  constexpr std::size_t kMost = 500;
  std::vector<std::string> lines;
  for (const auto line : split(printed, '\n')) {
    std::string text(trim(line));
    if (text.empty() || text.starts_with("hint:") || text.starts_with("Please make sure") ||
        text.starts_with("and the repository exists")) {
      continue;
    }
    std::ranges::replace_if(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }, ' ');
    lines.push_back(std::move(text));
  }
  std::string all = join(lines, " / ");
  if (all.size() > kMost) all = all.substr(0, kMost) + "...";
  return all.empty() ? "git says nothing" : all;
}

Error failure_of(const GitAnswer& answer) {
  const std::string_view text = answer.err;
  const std::string sentence = sentence_of(text);
  if (says_any(text, {"Could not resolve host",
                      "Failed to connect",
                      "Connection refused",
                      "Connection timed out",
                      "Connection reset",
                      "Connection closed",
                      "Network is unreachable",
                      "No route to host",
                      "Operation timed out",
                      "Could not resolve hostname",
                      "early EOF",
                      "timed out",
                      "RPC failed",
                      "returned error: 5",
                      "Operation too slow",
                      "SSL",
                      "Couldn't connect",
                      "Empty reply from server",
                      "Recv failure",
                      "Send failure"})) {
    return {ErrorKind::kUnavailable, fmt::format("it cannot be reached: {}", sentence)};
  }
  if (says_any(text, {"Permission denied", "Authentication failed", "could not read Username",
                      "could not read Password", "Host key verification failed",
                      "returned error: 401", "returned error: 403"})) {
    return {ErrorKind::kDenied,
            fmt::format("the daemon's user is not let in ({}): give git the credentials where that "
                        "user keeps them",
                        sentence)};
  }
  return {ErrorKind::kInvalid, sentence};
}

class Fetching {
 public:
  Fetching(const FetchRequest& request, Git& git, const Scratch& scratch)
      : source_(request.source), unless_(request.unless_commit), git_(git), scratch_(scratch) {}

  Result<Fetched> run() {
    if (auto made = ask({"init", "--quiet", "--bare", "--", scratch_.repository().string()});
        !made) {
      return std::unexpected(made.error());
    }
    const auto choice = look_up();
    if (!choice) return std::unexpected(choice.error());
    if (!choice->commit.empty() && choice->commit == unless_) {
      return Fetched{.commit = unless_, .bundle = std::nullopt};
    }
    auto commit = bring(*choice);
    if (!commit) return std::unexpected(commit.error());
    if (auto written = write_files(*commit); !written) return std::unexpected(written.error());
    auto bundle = build_bundle(scratch_.files(), {});
    if (!bundle) return std::unexpected(bundle.error());
    if (!bundle->has_tofu_files()) {
      return fail(ErrorKind::kInvalid, ".provisionerignore leaves no tofu files");
    }
    if (auto good = check_template_content(*bundle); !good) return std::unexpected(good.error());
    return Fetched{.commit = *std::move(commit), .bundle = *std::move(bundle)};
  }

 private:
  // The output of a command that has to succeed.
  Result<std::string> ask(std::vector<std::string> arguments,
                          std::size_t most = std::size_t{1} << 20) {
    auto answer = git_.run(std::move(arguments), most);
    if (!answer) return std::unexpected(answer.error());
    if (answer->code != 0) return std::unexpected(failure_of(*answer));
    return std::move(answer->out);
  }
  Result<std::string> ask_repository(std::vector<std::string> arguments,
                                     std::size_t most = std::size_t{1} << 20) {
    arguments.insert(arguments.begin(), "--git-dir=" + scratch_.repository().string());
    return ask(std::move(arguments), most);
  }

  Result<RefChoice> look_up() {
    const auto printed = ask_repository({"ls-remote", "--quiet", "--", source_.url}, kMostRefs);
    if (!printed) return std::unexpected(printed.error());
    return choose_ref(parse_remote_refs(*printed), source_.ref);
  }

  // Fetches what was chosen; the commit's id.
  Result<std::string> bring(const RefChoice& choice) {
    std::string wanted = kFetched;
    if (choice.abbreviated) {
      if (auto done = fetch_everything(); !done) return done;
      wanted = choice.fetch;
    } else if (auto done = fetch_alone(choice.fetch); !done) {
      // Not every source hands out a commit that no ref names.
      const bool by_id = choice.fetch == choice.commit && done.error().kind == ErrorKind::kInvalid;
      if (!by_id) return done;
      if (auto all = fetch_everything(); !all) return all;
      wanted = choice.fetch;
    }
    auto commit = ask_repository(
        {"rev-parse", "--verify", "--quiet", "--end-of-options", wanted + "^{commit}"});
    if (!commit) {
      if (commit.error().kind != ErrorKind::kInvalid) return commit;
      return fail(
          ErrorKind::kInvalid,
          fmt::format("\"{}\" is neither a branch, a tag nor one commit there", choice.fetch));
    }
    return std::string(trim(*commit));
  }
  Result<std::string> fetch_alone(const std::string& what) {
    return ask_repository({"fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules",
                           "--", source_.url, fmt::format("+{}:{}", what, kFetched)});
  }
  Result<std::string> fetch_everything() {
    return ask_repository({"fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--",
                           source_.url, "+refs/heads/*:refs/fetched/heads/*",
                           "+refs/tags/*:refs/fetched/tags/*"});
  }

  // The folder's files alone, as they are in the commit.
  Status write_files(const std::string& commit) {
    const auto printed =
        ask_repository({"ls-tree", "-r", "-t", "-l", "-z", "--full-tree", commit}, kMostTree);
    if (!printed) return std::unexpected(printed.error());
    const auto entries = parse_tree(*printed);
    if (!entries) return std::unexpected(entries.error());
    if (auto good = check_tree(*entries, source_.path); !good) return good;
    std::error_code error;
    fs::create_directory(scratch_.files(), error);
    if (error) return fail_errno("making a folder to fetch to", error.value());
    const std::string tree = source_.path.empty() ? commit : folder_id(*entries, source_.path);
    const std::string work_tree = "--work-tree=" + scratch_.files().string();
    if (auto read = ask_repository({work_tree, "read-tree", tree}); !read) {
      return std::unexpected(read.error());
    }
    auto written = ask_repository({work_tree, "checkout-index", "--all", "--force", "--quiet"});
    if (!written) return std::unexpected(written.error());
    return {};
  }

  const TemplateSource& source_;
  const std::string& unless_;
  Git& git_;
  const Scratch& scratch_;
};

}  // namespace

Result<Fetched> fetch(const FetchRequest& request, const FetchPlace& place) {
  const auto failed = [&](const Error& error) { return fail(shown(request.source), error); };
  auto scratch = Scratch::make(place.scratch);
  if (!scratch) return failed(scratch.error());
  auto git = Git::prepare(place.environment, place.patience, place.stop);
  if (!git) return failed(git.error());
  auto fetched = Fetching(request, *git, *scratch).run();
  if (!fetched && fetched.error().kind == ErrorKind::kTimeout) {
    return failed({ErrorKind::kTimeout, fmt::format("nothing came of it within {}: the source "
                                                    "does not answer, or holds too much",
                                                    format_duration(place.patience))});
  }
  if (!fetched) return failed(fetched.error());
  return fetched;
}

}  // namespace provisioner
