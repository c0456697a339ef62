// What INFO and its like tell about the process.
//
// Owner: Server, for the life of the process; complete before the first client. Thread: read by any
// worker, written by none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config.h"
#include "proxy/stats.h"

namespace rcproxy::proxy {

struct ServerFacts {
  const Config* config = nullptr;
  std::vector<const Stats*> workers;  // One per worker thread, complete before the first client.
  std::string run_id;                 // 40 hexadecimal digits.
  std::string kernel_features;        // What the ring uses, for INFO and --version.
  std::string executable;
  std::string config_file;
  int64_t started_unix_s = 0;
  uint16_t tcp_port = 0;

  // What HELLO and INFO call the mode.
  std::string_view ModeName() const {
    return config->face == Face::kCluster ? "cluster" : "standalone";
  }
};

}  // namespace rcproxy::proxy
