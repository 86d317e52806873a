// Logging straight to journald, with our fields as its fields.
#pragma once

#include <memory>

#include "telemetry/log.hpp"

namespace provisioner {

// Whether standard error is connected to the journal ($JOURNAL_STREAM, systemd.exec(5)).
bool journal_is_standard_error();

// Field names become upper case with a PROVISIONER_ prefix: workspace -> PROVISIONER_WORKSPACE.
std::unique_ptr<LogSink> journal_sink(LogThreshold least);

}  // namespace provisioner
