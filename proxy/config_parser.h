// What flags say -> the parts of Config, and whether these fit together.
//
// Pure. Thread: any. Errors name the flag and what to do.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/config.h"

namespace rcproxy::proxy {

// Checks the parts against one another.
absl::Status Validate(const Config& config);

// "host:port", "[v6]:port", ":port", or a path beginning with '/' or "unix:".
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text);
// Errors name `flag`.
absl::StatusOr<std::vector<ListenAddress>> ParseListenAddresses(std::string_view flag,
                                                                std::string_view list);
absl::StatusOr<std::vector<cluster::NodeAddress>> ParseStartupNodes(std::string_view list);
// As startup nodes; may be empty.
absl::StatusOr<std::vector<cluster::NodeAddress>> ParseAnnounce(std::string_view list);
// "announced=reached,...", each an address of a node.
absl::StatusOr<std::map<std::string, cluster::NodeAddress>> ParseNodeAddressMap(
    std::string_view list);
absl::StatusOr<Face> ParseFace(std::string_view text);
// The error names `flag`.
absl::StatusOr<ReadPreference> ParseReadPreference(std::string_view text,
                                                   std::string_view flag = "read_prefer");
absl::StatusOr<CrossSlot> ParseCrossSlot(std::string_view text);
absl::StatusOr<Transactions> ParseTransactions(std::string_view text);

}  // namespace rcproxy::proxy
