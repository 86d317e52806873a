#include "base/trace.hpp"

#include <gtest/gtest.h>

namespace provisioner {
namespace {

// The example of the standard.
const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string kSpan = "00f067aa0ba902b7";
const std::string kHeader = "00-" + kTrace + "-" + kSpan + "-01";

TEST(Traceparent, CarriesTheTracesId) {
  const auto id = parse_traceparent(kHeader);
  ASSERT_TRUE(id);
  EXPECT_EQ(id->value, kTrace);
  EXPECT_TRUE(parse_traceparent("00-" + kTrace + "-" + kSpan + "-00")) << "not sampled";
  EXPECT_TRUE(parse_traceparent("00-" + kTrace + "-" + kSpan + "-ff")) << "flags of the future";
}

TEST(Traceparent, OfALaterVersionMaySayMore) {
  for (const std::string more : {"", "-", "-what-comes"}) {
    EXPECT_TRUE(parse_traceparent("cc-" + kTrace + "-" + kSpan + "-01" + more)) << more;
  }
  EXPECT_FALSE(parse_traceparent("cc-" + kTrace + "-" + kSpan + "-01.more"));
  EXPECT_FALSE(parse_traceparent(kHeader + "-more")) << "this version says no more";
}

TEST(Traceparent, ThatIsNoneIsIgnored) {
  const std::string none(32, '0');
  for (const std::string& header : {
           std::string(),
           std::string("00"),
           kHeader.substr(0, kHeader.size() - 1),
           "ff-" + kTrace + "-" + kSpan + "-01",
           "0g-" + kTrace + "-" + kSpan + "-01",
           "00-" + none + "-" + kSpan + "-01",
           "00-" + kTrace + "-" + none.substr(16) + "-01",
           "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + kSpan + "-01",
           "00-" + kTrace + "-" + kSpan + "-0x",
           "00_" + kTrace + "-" + kSpan + "-01",
           "00-" + kTrace + "_" + kSpan + "-01",
           "00-" + kTrace + "-" + kSpan + "_01",
           kHeader + "," + kHeader,
           " " + kHeader,
       }) {
    EXPECT_FALSE(parse_traceparent(header)) << header;
  }
}

TEST(Traceparent, OfARunIsMadeOfItsIdAndCanBeReadAgain) {
  const RunId run("01a207cd-f3b0-72a3-a155-dbdd929c6dfd");
  const CorrelationId id = correlation_of(run);
  EXPECT_EQ(id.value, "01a207cdf3b072a3a155dbdd929c6dfd");
  EXPECT_EQ(format_traceparent(id, span_of(run)),
            "00-01a207cdf3b072a3a155dbdd929c6dfd-a155dbdd929c6dfd-01");
  EXPECT_EQ(parse_traceparent(format_traceparent(id, span_of(run))), id);
  EXPECT_EQ(parse_traceparent(format_traceparent(CorrelationId(kTrace), span_of(run))),
            CorrelationId(kTrace));
}

}  // namespace
}  // namespace provisioner
