#include "proxy/nodes_file.h"

#include <errno.h>
#include <glog/logging.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cluster/topology_parser.h"

namespace rcproxy::proxy {

namespace {

constexpr const char* kFirstLine = "rcproxy-nodes 1";
constexpr const char* kLastLine = "end";
constexpr size_t kBytesMax = 4 << 20;

std::string Encode(const cluster::Topology& topology) {
  std::vector<std::string> addresses;
  for (const cluster::Node& node : topology.nodes()) addresses.push_back(node.address.ToString());
  std::ranges::sort(addresses);
  std::string text = absl::StrCat(kFirstLine, "\n");
  for (const std::string& address : addresses) absl::StrAppend(&text, address, "\n");
  absl::StrAppend(&text, kLastLine, "\n");
  return text;
}

absl::StatusOr<std::vector<cluster::NodeAddress>> Decode(const std::string& text) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  const size_t count = lines.size();
  if (count < 3 || lines[0] != kFirstLine || lines[count - 2] != kLastLine || !lines.back().empty())
    return absl::InvalidArgumentError("it is cut, or was not written by rcproxy");
  std::vector<cluster::NodeAddress> addresses;
  for (size_t i = 1; i + 2 < count; ++i) {
    absl::StatusOr<cluster::NodeAddress> address = cluster::ParseNodeAddress(lines[i]);
    if (!address.ok()) return address.status();
    addresses.push_back(*std::move(address));
  }
  return addresses;
}

std::string ErrorText() { return std::strerror(errno); }

}  // namespace

std::vector<cluster::NodeAddress> ReadNodesFile(const std::string& path) {
  if (path.empty()) return {};
  std::ifstream file(path, std::ios::binary);
  if (!file) return {};  // The first start.
  std::string text(kBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  absl::StatusOr<std::vector<cluster::NodeAddress>> addresses = Decode(text);
  if (addresses.ok()) return *std::move(addresses);
  LOG(WARNING) << "--nodes_file=" << path << " is not used: " << addresses.status().message();
  return {};
}

absl::Status NodesFile::Save(const cluster::Topology& topology) {
  if (path_.empty()) return absl::OkStatus();
  std::string text = Encode(topology);
  if (text == saved_) return absl::OkStatus();
  const std::string next = path_ + ".next";
  std::ofstream file(next, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file || std::rename(next.c_str(), path_.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat("--nodes_file=", path_, ": ", ErrorText()));
  }
  saved_ = std::move(text);
  return absl::OkStatus();
}

}  // namespace rcproxy::proxy
