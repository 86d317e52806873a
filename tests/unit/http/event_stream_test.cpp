#include "http/event_stream.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace provisioner::http {
namespace {

TEST(EventStream, WhatIsWrittenIsReadHoweverItIsCut) {
  const std::string stream = format_event("log", "1:40", "line one\nline two") +
                             ": keep-alive\n\n" + format_event("end", "", "");
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    EventStreamParser parser;
    std::vector<std::string> seen;
    for (std::size_t i = 0; i < stream.size(); i += piece) {
      parser.feed(std::string_view(stream).substr(i, piece), [&](auto name, auto id, auto data) {
        seen.push_back(std::string(name) + "|" + std::string(id) + "|" + std::string(data));
        return true;
      });
    }
    // The id stays in force until another one comes, as the standard says.
    EXPECT_EQ(seen, (std::vector<std::string>{"log|1:40|line one\nline two", "end|1:40|"}));
  }
}

TEST(EventStream, StopsWhenTheReaderHasEnough) {
  EventStreamParser parser;
  int calls = 0;
  EXPECT_FALSE(parser.feed(format_event("a", "", "1") + format_event("b", "", "2"),
                           [&](auto, auto, auto) { return ++calls < 1; }));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace provisioner::http
