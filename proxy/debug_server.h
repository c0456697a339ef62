// The metrics page of --debug_addr: GET /metrics in Prometheus' text format, and GET /healthz for
// those who only ask whether the process answers.
//
// Owner: main, after the workers' counters exist and until they go. Thread: start and stop on one
// thread; pages are made on two threads of the library's, which only read counters.
// Source of the format: the Prometheus documentation, "Exposition formats".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/stats.h"

namespace rcproxy::proxy {

class DebugServer {
 public:
  // `address` is HOST:PORT, [IPV6]:PORT or :PORT (all addresses); port 0 lets the kernel choose.
  // The counters outlive the server. Returns an error that names the address when it cannot be
  // bound.
  static absl::StatusOr<std::unique_ptr<DebugServer>> Start(const std::string& address,
                                                            std::vector<const Stats*> workers);
  ~DebugServer();
  DebugServer(const DebugServer&) = delete;
  DebugServer& operator=(const DebugServer&) = delete;

  uint16_t port() const;

 private:
  struct Library;

  explicit DebugServer(std::unique_ptr<Library> library);

  std::unique_ptr<Library> library_;  // Its headers stay out of this one.
};

}  // namespace rcproxy::proxy
