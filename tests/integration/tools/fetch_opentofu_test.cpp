// tools/fetch-opentofu against a release that this test makes and serves: what it installs, what it
// refuses, and what it says where nobody answers.
#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/crc.hpp>
#include <cstdlib>
#include <map>
#include <thread>

#include "http/server.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgram = "#!/bin/sh\necho 'OpenTofu v9.8.7'\n";

void append_number(std::string& bytes, std::uint32_t value, int size) {
  for (int i = 0; i < size; ++i, value >>= 8) bytes += static_cast<char>(value & 0xff);
}

// A zip archive of one executable file, not compressed.
std::string zip_of(const std::string& name, const std::string& content) {
  boost::crc_32_type crc;
  crc.process_bytes(content.data(), content.size());
  std::string common;  // what both headers of a file share
  append_number(common, 20, 2);
  append_number(common, 0, 8);  // flags, method, time, date
  append_number(common, crc.checksum(), 4);
  append_number(common, static_cast<std::uint32_t>(content.size()), 4);
  append_number(common, static_cast<std::uint32_t>(content.size()), 4);
  append_number(common, static_cast<std::uint32_t>(name.size()), 2);
  append_number(common, 0, 2);
  std::string zip = "PK\x03\x04" + common + name + content;
  const auto directory = static_cast<std::uint32_t>(zip.size());
  zip += "PK\x01\x02";
  append_number(zip, 3 << 8 | 20, 2);  // made on a Unix: modes count
  zip += common;
  append_number(zip, 0, 6);
  append_number(zip, 0100755u << 16, 4);
  append_number(zip, 0, 4);
  zip += name;
  const auto size = static_cast<std::uint32_t>(zip.size()) - directory;
  zip += "PK\x05\x06";
  append_number(zip, 0, 4);
  append_number(zip, 1, 2);
  append_number(zip, 1, 2);
  append_number(zip, size, 4);
  append_number(zip, directory, 4);
  append_number(zip, 0, 2);
  return zip;
}

// Serves files by their path, on a free port of the loopback.
class FileServer {
 public:
  explicit FileServer(std::map<std::string, std::string> files)
      : files_(std::move(files)),
        server_(loop_.get_executor(), [this](http::Request request) -> Task<http::Response> {
          const auto file = files_.find(request.path());
          if (file == files_.end()) co_return http::text_response(404, "no such file\n");
          co_return http::text_response(200, file->second);
        }) {
    port_ = server_.listen_tcp("127.0.0.1", 0).value();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~FileServer() {
    loop_.stop();
    thread_.join();
  }
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;

  std::string address() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  boost::asio::io_context loop_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      loop_.get_executor()};
  std::map<std::string, std::string> files_;
  http::Server server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

class FetchOpentofu : public ::testing::Test {
 protected:
  void SetUp() override {
    utsname machine{};
    uname(&machine);
    const std::string name = machine.machine;
    if (name != "x86_64" && name != "aarch64") GTEST_SKIP() << "there is no release for " << name;
    archive_ = "tofu_9.8.7_linux_" + std::string(name == "x86_64" ? "amd64" : "arm64") + ".zip";
  }

  std::string checksum_of(const std::string& bytes) const {
    write_file(directory_ / "bytes", bytes);
    return run_program({"sha256sum", directory_ / "bytes"}).out.substr(0, 64);
  }

  std::map<std::string, std::string> release(const std::string& zip, const std::string& sum) const {
    return {{"/v9.8.7/" + archive_, zip},
            {"/v9.8.7/tofu_9.8.7_SHA256SUMS",
             std::string(64, '0') + "  tofu_9.8.7_other.zip\n" + sum + "  " + archive_ + "\n"}};
  }

  Finished fetch(const std::string& releases) const {
    return run_program({PROVISIONER_SOURCE_DIR "/tools/fetch-opentofu", directory_ / "installed"},
                       {{"OPENTOFU_RELEASES", releases},
                        {"OPENTOFU_VERSION", "9.8.7"},
                        {"no_proxy", "127.0.0.1"}});
  }

  bool is_installed() const { return fs::exists(directory_ / "installed" / "tofu"); }

  TempDirectory directory_;
  std::string archive_;
};

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_F(FetchOpentofu, InstallsAReleaseWhoseChecksumIsRight) {
  const std::string zip = zip_of("tofu", kProgram);
  const FileServer server(release(zip, checksum_of(zip)));
  const auto fetched = fetch(server.address());
  ASSERT_EQ(fetched.code, 0) << fetched.out << fetched.err;
  EXPECT_TRUE(holds(fetched.out, "OpenTofu v9.8.7 is in")) << fetched.out;
  EXPECT_EQ(read_file(directory_ / "installed" / "tofu"), kProgram);
}

TEST_F(FetchOpentofu, RefusesAReleaseWithAnotherChecksum) {
  const std::string zip = zip_of("tofu", kProgram);
  const FileServer server(release(zip_of("tofu", "#!/bin/sh\necho stranger\n"), checksum_of(zip)));
  const auto fetched = fetch(server.address());
  EXPECT_EQ(fetched.code, 1);
  EXPECT_TRUE(holds(fetched.err, "checksum of " + archive_)) << fetched.err;
  EXPECT_FALSE(is_installed());
}

TEST_F(FetchOpentofu, RefusesAReleaseWhoseChecksumIsNotListed) {
  auto files = release(zip_of("tofu", kProgram), "");
  files["/v9.8.7/tofu_9.8.7_SHA256SUMS"] = std::string(64, '0') + "  tofu_9.8.7_other.zip\n";
  const FileServer server(files);
  const auto fetched = fetch(server.address());
  EXPECT_EQ(fetched.code, 1);
  EXPECT_TRUE(holds(fetched.err, "not installed")) << fetched.err;
  EXPECT_FALSE(is_installed());
}

TEST_F(FetchOpentofu, SaysWhatToDoWhereNobodyAnswersOrTheReleaseIsMissing) {
  std::string address;
  {
    const FileServer server({});
    address = server.address();
    const auto missing = fetch(address);
    EXPECT_EQ(missing.code, 1);
    EXPECT_TRUE(holds(missing.err, "404")) << missing.err;
  }
  const auto unreachable = fetch(address);  // the port is free again
  EXPECT_EQ(unreachable.code, 1);
  for (const auto* part : {"cannot fetch OpenTofu 9.8.7", "terraform", "OPENTOFU_RELEASES"}) {
    EXPECT_TRUE(holds(unreachable.err, part)) << unreachable.err;
  }
  EXPECT_FALSE(is_installed());
}

// make deps has run where the tests run, so nothing but tofu could be missing.
TEST_F(FetchOpentofu, IsNotAskedForWhereTerraformExists) {
  write_file(directory_ / "bin" / "terraform", kProgram);
  fs::permissions(directory_ / "bin" / "terraform", fs::perms::owner_all);
  const auto deps =
      run_program({PROVISIONER_SOURCE_DIR "/tools/deps"},
                  {{"OPENTOFU_RELEASES", "http://127.0.0.1:1"},
                   {"PATH", (directory_ / "bin").string() + ":" + std::getenv("PATH")}});
  EXPECT_EQ(deps.code, 0) << deps.out << deps.err;
  EXPECT_FALSE(holds(deps.out + deps.err, "fetch-opentofu")) << deps.out;
}

}  // namespace
}  // namespace provisioner::testing
