#include "config/bundle.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "config/tar.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;
using provisioner::testing::read_file;
using provisioner::testing::TempDirectory;
using provisioner::testing::write_file;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> paths_of(const Bundle& bundle) {
  std::vector<std::string> paths;
  for (const auto& entry : bundle.entries) paths.push_back(entry.path);
  return paths;
}

class BundleTest : public ::testing::Test {
 protected:
  fs::path shop() const { return root_ / "workspaces/shop"; }
  void write(const std::string& path, std::string_view text = "x") {
    write_file(shop() / path, text);
  }
  Bundle build(const std::vector<std::string>& include = {}) {
    auto bundle = build_bundle(shop(), include);
    EXPECT_TRUE(bundle) << bundle.error().message;
    return bundle ? std::move(*bundle) : Bundle{};
  }
  std::string error(const std::vector<std::string>& include = {}) {
    const auto bundle = build_bundle(shop(), include);
    EXPECT_FALSE(bundle);
    return bundle ? "" : bundle.error().message;
  }

  TempDirectory root_;
};

TEST_F(BundleTest, HoldsTheContentAndNothingElse) {
  for (const char* path :
       {"main.tf", "values.auto.tfvars", ".terraform.lock.hcl", "files/init.sh", ".hidden"}) {
    write(path);
  }
  for (const char* path : {"config.json", ".git/HEAD", ".terraform/providers/x",
                           "terraform.tfstate", "terraform.tfstate.backup", "x.tfplan", "main.tf~",
                           "#main.tf#", ".main.tf.swp", "a.tmp", "files/.git/HEAD"}) {
    write(path);
  }
  write("files/config.json");  // not the workspace's own
  const auto bundle = build();
  EXPECT_THAT(paths_of(bundle), ElementsAre(".hidden", ".terraform.lock.hcl", "files/config.json",
                                            "files/init.sh", "main.tf", "values.auto.tfvars"));
  EXPECT_EQ(bundle.folder, "");
  EXPECT_TRUE(bundle.has_tofu_files());
}

TEST_F(BundleTest, IgnoresWhatTheIgnoreFileNames) {
  write(".provisionerignore", "# heavy\n*.zip\n/docs/\nbuild\n!keep.zip\n");
  for (const char* path : {"main.tf", "a.zip", "keep.zip", "sub/b.zip", "docs/x", "sub/docs/y",
                           "build/z", "sub/build"}) {
    write(path);
  }
  EXPECT_THAT(paths_of(build()), ElementsAre("keep.zip", "main.tf", "sub/docs/y"));
}

TEST_F(BundleTest, TheHashKnowsContentNotTime) {
  write("main.tf", "a");
  write("sub/x", "b");
  const auto first = build();
  fs::last_write_time(shop() / "main.tf", fs::file_time_type::clock::now() - std::chrono::hours(9));
  write("config.json", "{}");
  EXPECT_EQ(build().hash, first.hash);
  EXPECT_EQ(build().bytes, first.bytes);
  write("main.tf", "A");
  const auto changed = build();
  EXPECT_NE(changed.hash, first.hash);
  fs::permissions(shop() / "main.tf", fs::perms::owner_exec, fs::perm_options::add);
  EXPECT_NE(build().hash, changed.hash);
}

TEST_F(BundleTest, IncludedPathsKeepTheirMeaning) {
  write("main.tf", "module \"vpc\" { source = \"../../modules/vpc\" }");
  write_file(root_ / "modules/vpc/main.tf", "vpc");
  write_file(root_ / "workspaces/common.tfvars", "c");
  write_file(root_ / "workspaces/other/main.tf", "not ours");
  const auto bundle = build({"../../modules/", "../common.tfvars"});
  EXPECT_EQ(bundle.folder, "workspaces/shop");
  EXPECT_THAT(paths_of(bundle), ElementsAre("modules/vpc/main.tf", "workspaces/common.tfvars",
                                            "workspaces/shop/main.tf"));
  EXPECT_TRUE(bundle.has_tofu_files());

  TempDirectory target;
  const auto folder = unpack_bundle(bundle.bytes, target.path());
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_EQ(read_file(*folder / "../../modules/vpc/main.tf"), "vpc");
}

TEST_F(BundleTest, AnIncludeMustExistAndLieBesideTheFolder) {
  write("main.tf");
  EXPECT_THAT(error({"../../modules"}), HasSubstr("include ../../modules: No such file"));
  EXPECT_EQ(error({"../../workspaces"}),
            "include ../../workspaces contains the workspace's folder itself");
}

TEST_F(BundleTest, LinksStayLinksAndMayNotLeave) {
  write("envs/prod.tfvars", "p");
  fs::create_symlink("envs/prod.tfvars", shop() / "current.tfvars");
  fs::create_directory_symlink("envs", shop() / "all");
  const auto bundle = build();
  TempDirectory target;
  ASSERT_TRUE(unpack_bundle(bundle.bytes, target.path()));
  EXPECT_EQ(fs::read_symlink(target / "current.tfvars"), "envs/prod.tfvars");
  EXPECT_EQ(read_file(target / "all/prod.tfvars"), "p");

  for (const char* out : {"/etc/passwd", "../secret", "envs/../../x"}) {
    fs::remove(shop() / "bad");
    fs::create_symlink(out, shop() / "bad");
    EXPECT_THAT(error(), HasSubstr("bad is a link to " + std::string(out) + ", outside")) << out;
  }
}

TEST_F(BundleTest, PipesAndSocketsAreNoContent) {
  write("main.tf");
  ASSERT_EQ(::mkfifo((shop() / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(paths_of(build()), ElementsAre("main.tf"));
}

TEST_F(BundleTest, TooMuchContentNamesTheLargestFile) {
  write("main.tf");
  write("data.bin");
  fs::resize_file(shop() / "data.bin", 70ull * 1024 * 1024);
  EXPECT_EQ(error(),
            "the content is larger than 64 MB (largest file so far: data.bin, 70.0 MB): name what "
            "tofu does not need in .provisionerignore");
}

TEST_F(BundleTest, AVanishedFolderIsNotFound) {
  const auto bundle = build_bundle(root_ / "gone", {});
  ASSERT_FALSE(bundle);
  EXPECT_EQ(bundle.error().kind, ErrorKind::kNotFound);
}

TEST_F(BundleTest, TarReadsIt) {
  write("main.tf", "hello");
  write("run.sh", "#!/bin/sh");
  fs::permissions(shop() / "run.sh", fs::perms::owner_exec, fs::perm_options::add);
  const std::string deep(90, 'd');
  write(deep + "/" + deep + "/x", "far");  // longer than a header's name field
  TempDirectory target;
  write_file(target / "bundle.tar", build().bytes);
  const auto listed =
      provisioner::testing::run_program({"/bin/tar", "tvf", (target / "bundle.tar").string()});
  EXPECT_EQ(listed.code, 0) << listed.err;
  EXPECT_THAT(listed.out, HasSubstr(" main.tf\n"));
  EXPECT_THAT(listed.out, HasSubstr("-rwxr-xr-x 0/0 "));
  EXPECT_THAT(listed.out, HasSubstr(deep + "/" + deep + "/x\n"));
}

TEST_F(BundleTest, UnpackingReplacesWhatIsThere) {
  write("main.tf", "new");
  write("run.sh", "x");
  fs::permissions(shop() / "run.sh", fs::perms::owner_exec, fs::perm_options::add);
  write("sub/x", "x");
  TempDirectory target, outside;
  write_file(target / "main.tf", "something longer");
  write_file(target / ".terraform/x", "kept");
  fs::create_directory_symlink(outside.path(), target / "sub");  // must not be followed
  const auto bundle = build();
  const auto folder = unpack_bundle(bundle.bytes, target.path());
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_EQ(*folder, target.path());
  EXPECT_EQ(read_file(target / "main.tf"), "new");
  EXPECT_EQ(read_file(target / ".terraform/x"), "kept");
  EXPECT_EQ(read_file(target / "sub/x"), "x");
  EXPECT_TRUE(fs::is_empty(outside.path()));
  EXPECT_NE(fs::status(target / "run.sh").permissions() & fs::perms::owner_exec, fs::perms::none);
  EXPECT_EQ(build_bundle(target.path(), {})->hash, bundle.hash);
}

// Archives that no build_bundle would write.
class HostileArchive {
 public:
  HostileArchive() { add({.path = "./", .type = tar::Type::kFolder}); }
  HostileArchive& add(tar::Header header, std::string_view content = "") {
    header.size = content.size();
    EXPECT_TRUE(tar::append_header(bytes_, header));
    bytes_ += content;
    tar::append_padding(bytes_);
    return *this;
  }
  std::string finish() {
    tar::append_end(bytes_);
    return bytes_;
  }

 private:
  std::string bytes_;
};

TEST(UnpackBundle, NeverWritesOutside) {
  TempDirectory around;
  const auto target = around / "target";
  fs::create_directory(target);
  const auto link = [](const char* path, const char* to) {
    return tar::Header{.path = path, .type = tar::Type::kLink, .link_target = to};
  };
  const std::string archives[] = {
      HostileArchive().add({.path = "../evil"}, "x").finish(),
      HostileArchive().add({.path = "a/../../evil"}, "x").finish(),
      HostileArchive().add({.path = "/tmp/evil"}, "x").finish(),
      HostileArchive().add({.path = "a//b"}, "x").finish(),
      HostileArchive().add(link("out", "..")).add({.path = "out/evil"}, "x").finish(),
      HostileArchive().add(link("out", "/")).finish(),
      // Inside by its text, outside when another link is resolved on the way.
      HostileArchive().add(link("p/q/r", "../../z")).add(link("esc", "p/q/r/../..")).finish(),
      HostileArchive().add({.path = "twice"}, "x").add({.path = "twice"}, "y").finish(),
      HostileArchive().add({.path = "../", .type = tar::Type::kFolder}).finish(),
  };
  for (std::size_t i = 0; i < std::size(archives); ++i) {
    const auto done = unpack_bundle(archives[i], target);
    ASSERT_FALSE(done) << i;
    EXPECT_EQ(done.error().kind, ErrorKind::kCorrupt) << i;
  }
  EXPECT_TRUE(fs::is_empty(target));
  EXPECT_EQ(std::distance(fs::directory_iterator(around.path()), {}), 1);
}

TEST(UnpackBundle, DamagedBytesAreRefusedBeforeAnythingIsWritten) {
  TempDirectory target;
  const auto good = HostileArchive().add({.path = "main.tf"}, "x").finish();
  for (const auto& bytes : {std::string(), std::string("x"), good.substr(0, 700),
                            std::string(4096, 'x'), std::string(good).replace(600, 1, "~")}) {
    const auto done = unpack_bundle(bytes, target.path());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::kCorrupt);
  }
  EXPECT_TRUE(fs::is_empty(target.path()));
  EXPECT_TRUE(unpack_bundle(good, target.path()));
}

}  // namespace
}  // namespace provisioner
