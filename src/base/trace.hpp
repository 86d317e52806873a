// What ties a request, the run that it caused, and their log lines together: the trace-id of W3C
// Trace Context (https://www.w3.org/TR/trace-context/).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.hpp"

namespace provisioner {

// Lower-case hexadecimal of 128 bits, not all of them zero.
using CorrelationId = StrongString<struct CorrelationIdTag>;

// The trace-id of a `traceparent` header. Nothing when the header is to be ignored: it is empty,
// not of the standard's form, of version ff, or one of its ids is all zero. A later version may say
// more behind another dash.
std::optional<CorrelationId> parse_traceparent(std::string_view header);

// "00-<id>-<span>-01". `span`: 16 lower-case hexadecimal digits, not all zero.
std::string format_traceparent(const CorrelationId& id, std::string_view span);

// Of a run that no request asked for: the digits of its own id, most of which are random.
CorrelationId correlation_of(const RunId& run);

// The span of a run within its trace.
std::string span_of(const RunId& run);

}  // namespace provisioner
