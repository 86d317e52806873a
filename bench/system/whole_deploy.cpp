// A whole deploy, from the API request to the result, beside a shell script that does by hand what
// a person would: init && plan -out && apply. In turn, so that both see the same machine.
#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>
#include <stdexcept>
#include <vector>

#include "bench/system/shared/api.hpp"
#include "bench/system/shared/figure.hpp"
#include "bench/system/shared/observed.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::bench {
namespace {

using std::chrono::steady_clock;
using testing::eventually;
using testing::Installation;
using testing::write_file;

constexpr int kWarmUps = 2;
constexpr int kRounds = 10;

std::string content(const std::string& value) {
  return fmt::format(
      "variable \"value\" {{\n  default = \"none\"\n}}\n"
      "resource \"terraform_data\" \"one\" {{\n  input = \"{} ${{var.value}}\"\n}}\n",
      value);
}

Json config(const std::string& value) {
  return {{"on_change", "ignore"}, {"variables", {{"value", value}}}};
}

std::string binary() {
  for (const char* name : {"tofu", "terraform"}) {
    if (run_quietly({"/bin/sh", "-c", fmt::format("command -v {}", name)}) == 0) return name;
  }
  throw std::runtime_error("neither tofu nor terraform is on PATH: make deps");
}

// The peer.
class Script {
 public:
  explicit Script(std::filesystem::path file) : file_(std::move(file)) {
    const std::string tofu = binary();
    write_file(file_, fmt::format("set -e\ncd \"$1\"\nexport CHECKPOINT_DISABLE=1\n"
                                  "{0} init -input=false -no-color\n"
                                  "{0} plan -input=false -no-color -var value=\"$2\" -out=plan\n"
                                  "{0} apply -input=false -no-color plan\n",
                                  tofu));
  }

  double run(const std::filesystem::path& directory, const std::string& value) const {
    const auto start = steady_clock::now();
    if (run_quietly({"/bin/sh", file_, directory, value}) != 0) {
      throw std::runtime_error("the script failed");
    }
    return seconds_since(start) * 1000;
  }

 private:
  std::filesystem::path file_;
};

class Deploys {
 public:
  Deploys() : api_(installation_.state_dir() / "provisioner.sock"), script_(by_hand("script.sh")) {
    for (int round = 0; round < kWarmUps + kRounds; ++round) {
      installation_.add_workspace(first_name(round), config("first"), content("one"));
    }
    installation_.add_workspace("later", config("0"), content("0"));
    write_file(by_hand("later") / "main.tf", content("0"));
    installation_.start();
    const bool loaded = eventually(std::chrono::seconds(30), [&] {
      return api_.get("/api/v1/workspaces")["items"].size() == kWarmUps + kRounds + 1;
    });
    if (!loaded) throw std::runtime_error("the workspaces were not loaded\n" + installation_.log());
  }

  void first() {
    measure("deploy, the first of a workspace", 1.25, [this](int round) {
      const auto directory = by_hand(fmt::format("first-{}", round));
      write_file(directory / "main.tf", content("one"));
      return Pair{deploy(first_name(round), "add"), script_.run(directory, "first")};
    });
  }

  void later() {
    deploy("later", "add");
    script_.run(by_hand("later"), "0");
    measure("deploy, a later one, other variable", 1.0, [this](int round) {
      const std::string value = fmt::format("{}", round + 1);
      change([&] { installation_.write("later", "config.json", config(value).dump(2)); });
      return Pair{deploy("later", "change"), script_.run(by_hand("later"), value)};
    });
    measure("deploy, a later one, other content", 1.0, [this](int round) {
      const std::string text = content(fmt::format("{}", round + 1));
      change([&] { installation_.write("later", "main.tf", text); });
      write_file(by_hand("later") / "main.tf", text);
      return Pair{deploy("later", "change"), script_.run(by_hand("later"), "last")};
    });
  }

 private:
  struct Pair {
    double ours = 0;
    double peer = 0;
  };

  static std::string first_name(int round) { return fmt::format("first-{:02}", round); }
  std::filesystem::path by_hand(const std::string& name) const {
    return installation_.root() / "by-hand" / name;
  }

  template <typename Edit>
  void change(Edit edit) {
    const auto version = [&] { return api_.get("/api/v1/workspaces/later")["version"]; };
    const Json before = version();
    edit();
    if (!eventually(std::chrono::seconds(20), [&] { return version() != before; })) {
      throw std::runtime_error("a change was not noticed\n" + installation_.log());
    }
  }

  // Milliseconds; makes sure that a resource was added or changed.
  double deploy(const std::string& workspace, const char* expected) {
    const auto start = steady_clock::now();
    const Json run = api_.follow(api_.deploy(workspace));
    const double spent = seconds_since(start) * 1000;
    if (run["status"] != "succeeded" || run["resources"][expected] != 1) {
      throw std::runtime_error(run.dump(2) + installation_.log());
    }
    return spent;
  }

  template <typename Round>
  static void measure(const std::string& name, double target, Round round) {
    std::vector<double> ours, peer;
    for (int i = 0; i < kWarmUps + kRounds; ++i) {
      const Pair pair = round(i);
      if (i < kWarmUps) continue;
      ours.push_back(pair.ours);
      peer.push_back(pair.peer);
    }
    print({.name = name,
           .unit = "ms",
           .ours = median(ours),
           .peer_name = "script",
           .peer = median(peer),
           .target = target,
           .of_ratio = true,
           .note = fmt::format("medians of {} rounds in turn; ours {:.0f} to {:.0f} ms, script "
                               "{:.0f} to {:.0f} ms; {}",
                               kRounds, percentile(ours, 0), percentile(ours, 1),
                               percentile(peer, 0), percentile(peer, 1), load_average())});
  }

  Installation installation_;
  Api api_;
  Script script_;
};

}  // namespace
}  // namespace provisioner::bench

int main() {
  provisioner::bench::Deploys deploys;
  deploys.first();
  deploys.later();
}
