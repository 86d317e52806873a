#include "runner/protocol.hpp"

#include <gtest/gtest.h>

namespace provisioner::runner {
namespace {

TEST(RunnerProtocol, CarriesAnAssignmentWithoutLoss) {
  Assignment sent;
  sent.workspace = WorkspaceName("shop");
  sent.operation = Operation::kDestroy;
  sent.binary = "/usr/bin/tofu";
  sent.binary_directory = "/var/lib/provisioner/tofu/ab/bin";
  sent.commands.deploy_plan = "make plan";
  sent.commands.destroy_destroy = "";  // present and empty is not absent
  sent.job = JobWork{JobName("backup"), "#!/bin/sh\ntrue", "make", "scripts"};
  sent.environment = {{"TOKEN", "s3cret \"quoted\"\n"}, {"EMPTY", ""}};
  sent.variables = R"({"mode": "busy"})";
  sent.masks = {"s3cret", "zwei"};
  sent.needs_agreement = sent.upgrade = sent.own_backend = true;
  sent.init_fingerprint = "abc";
  sent.cache_directory = "/var/lib/provisioner/work/shop/cache";
  sent.plugin_cache_directory = "/var/cache/plugins";
  sent.timeout = std::chrono::minutes(3);
  sent.lease = std::chrono::milliseconds(1500);
  sent.margin = std::chrono::milliseconds(20);
  sent.heartbeat = std::chrono::milliseconds(100);
  sent.stop_allowance = std::chrono::milliseconds(700);
  sent.log_limit = 4096;

  const auto received = decode_assignment(encode(sent));

  ASSERT_TRUE(received) << received.error().message;
  EXPECT_EQ(*received, sent);
}

TEST(RunnerProtocol, CarriesARegistrationWithoutLoss) {
  const Registration sent{{"machine", "boot", "pid:[4026531836]", 4711, 99, "/work/shop/1"}};
  const auto received = decode_registration(encode(sent));
  ASSERT_TRUE(received) << received.error().message;
  EXPECT_EQ(*received, sent);
}

TEST(RunnerProtocol, CarriesAnEndWithoutLoss) {
  Finish finish;
  finish.log_offset = 70'000;
  finish.log = "the last line: \"\u00fc\"\n";
  AttemptResult& sent = finish.result;
  sent.may_pass = true;
  sent.host = "management.azure.com";
  sent.began_changes = true;
  sent.status = RunStatus::kTimedOut;
  sent.exit_code = 137;
  sent.error = "after 3m: \"boom\"";
  sent.resources = {1, 2, 3};
  sent.needs_confirmation = true;
  sent.lock_file = "provider \"a\" {}\n";
  sent.ttl_expires_at = from_micros(1'700'000'000'000'001);

  const auto received = decode_finish(encode(finish));

  ASSERT_TRUE(received) << received.error().message;
  EXPECT_EQ(received->result.status, sent.status);
  EXPECT_EQ(received->result.exit_code, sent.exit_code);
  EXPECT_EQ(received->result.error, sent.error);
  EXPECT_EQ(received->result.resources, sent.resources);
  EXPECT_EQ(received->result.needs_confirmation, sent.needs_confirmation);
  EXPECT_EQ(received->result.lock_file, sent.lock_file);
  EXPECT_EQ(received->result.ttl_expires_at, sent.ttl_expires_at);
  EXPECT_TRUE(received->result.may_pass);
  EXPECT_EQ(received->result.host, sent.host);
  EXPECT_TRUE(received->result.began_changes);
  EXPECT_EQ(received->log_offset, finish.log_offset);
  EXPECT_EQ(received->log, finish.log);
}

TEST(RunnerProtocol, ReportsAnErrorTextThatIsNotUtf8) {
  Finish sent;
  sent.result.error = "bad \xff byte";
  const auto received = decode_finish(encode(sent));
  ASSERT_TRUE(received);
  EXPECT_EQ(received->result.error, "bad \xEF\xBF\xBD byte");
}

TEST(RunnerProtocol, KeepsAbsentValuesAbsent) {
  const auto received = decode_finish(encode(Finish{{.status = RunStatus::kSucceeded}}));
  ASSERT_TRUE(received);
  EXPECT_EQ(received->result.exit_code, std::nullopt);
  EXPECT_EQ(received->result.lock_file, std::nullopt);
  EXPECT_EQ(received->result.ttl_expires_at, std::nullopt);
  EXPECT_EQ(received->log, "");
}

TEST(RunnerProtocol, CarriesTheFenceInTheAuthorizationHeader) {
  const AttemptFence fence{RunId("0193-ab"), Attempt(7), ClaimId("c0ffee")};
  EXPECT_EQ(authorization(fence), "Bearer 0193-ab.7.c0ffee");
  const auto parsed = parse_authorization(authorization(fence));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, fence);
}

TEST(RunnerProtocol, DeniesCredentialsOfAnotherForm) {
  for (const auto* header : {"", "Bearer ", "Bearer a.b.c", "Bearer a.0.c", "Bearer a.1x.c",
                             "Bearer a.1.", "Bearer .1.c", "Basic a.1.c", "Bearer a.1.c.d"}) {
    const auto parsed = parse_authorization(header);
    ASSERT_FALSE(parsed) << header;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kDenied) << header;
  }
}

TEST(RunnerProtocol, NamesTheFieldThatIsWrong) {
  struct Case {
    const char* text;
    const char* complaint;
  };
  for (const auto& [text, complaint] : {
           Case{"[]", "assignment: the body is no JSON object"},
           Case{R"({"operation":"deploy","binary":"x"})", "assignment: workspace is missing"},
           Case{R"({"workspace":"a","binary":"x","operation":"dance"})",
                "assignment: operation: \"dance\" is not a run operation"},
           Case{R"({"workspace":"a","binary":"x","operation":"plan","lease_us":"1"})",
                "assignment: lease_us has the wrong type"},
       }) {
    const auto decoded = decode_assignment(text);
    ASSERT_FALSE(decoded) << text;
    EXPECT_EQ(decoded.error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(decoded.error().message, complaint);
  }
}

TEST(RunnerProtocol, RefusesAnAttemptThatEndsAsRunning) {
  EXPECT_FALSE(decode_finish(R"({"status":"running"})"));
}

TEST(RunnerProtocol, MeansTheSameErrorOnBothSides) {
  for (const auto kind : {ErrorKind::kFenced, ErrorKind::kConflict, ErrorKind::kDenied,
                          ErrorKind::kInvalid, ErrorKind::kNotFound, ErrorKind::kUnavailable}) {
    const Error sent{kind, "the reason"};
    const Error received = error_of(status_of(kind), encode(problem_of(sent)));
    EXPECT_EQ(received, sent) << to_string(kind);
  }
  EXPECT_EQ(error_of(502, "<html>").kind, ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace provisioner::runner
