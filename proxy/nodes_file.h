// The addresses of the cluster's nodes on disk, so that a start finds the cluster when none of the
// first nodes is there any more. Only addresses: what each of them sees of the cluster is asked.
//
// Owner: Server. Thread: the first worker's; it writes only when the nodes have changed. The file
// is replaced in one step, so a reader sees all of the old or all of the new one.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cluster/topology.h"

namespace rcproxy::proxy {

// What is not there is empty; what is not a file that NodesFile wrote, whole, is logged and empty.
std::vector<cluster::NodeAddress> ReadNodesFile(const std::string& path);

class NodesFile {
 public:
  // `path` may be empty: then nothing is kept.
  explicit NodesFile(std::string path) : path_(std::move(path)) {}

  // Errors: the file could not be written; the one that was there stays.
  absl::Status Save(const cluster::Topology& topology);

 private:
  const std::string path_;
  std::string saved_;
};

}  // namespace rcproxy::proxy
