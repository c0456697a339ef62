// A node's reply to COMMAND -> CommandReport.
//
// Pure. Thread: any. See command_report.h for what is left out.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "cluster/command_report.h"

namespace rcproxy::cluster {

// Errors: the reply is an error or no list of commands, names none, or is longer than any server's.
absl::StatusOr<CommandReport> ParseCommandReply(std::string_view reply);

}  // namespace rcproxy::cluster
