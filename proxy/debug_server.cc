// Compiled with exceptions, alone in the project: the library reports an address that it cannot
// bind by throwing from a constructor.
#include "proxy/debug_server.h"

#include <prometheus/exposer.h>

#include <exception>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "proxy/worker_metrics.h"

namespace rcproxy::proxy {
namespace {

constexpr size_t kThreads =
    2;  // One page at a time, and one more so that a slow reader blocks none.

// The library's HTTP server does not know ":PORT"; a port alone means all addresses to it.
std::string ListeningPort(const std::string& address) {
  return address.starts_with(':') ? address.substr(1) : address;
}

}  // namespace

struct DebugServer::Library {
  // Order matters: the exposer, whose threads read the others, goes first.
  std::shared_ptr<WorkerMetrics> metrics;
  std::shared_ptr<Health> health;
  std::unique_ptr<prometheus::Exposer> exposer;
};

absl::StatusOr<std::unique_ptr<DebugServer>> DebugServer::Start(const std::string& address,
                                                                std::vector<const Stats*> workers) {
  auto library = std::make_unique<Library>();
  library->metrics = std::make_shared<WorkerMetrics>(std::move(workers));
  library->health = std::make_shared<Health>();
  try {
    library->exposer = std::make_unique<prometheus::Exposer>(ListeningPort(address), kThreads);
    library->exposer->RegisterCollectable(library->metrics, "/metrics");
    library->exposer->RegisterCollectable(library->health, "/healthz");
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat(
        "--debug_addr: cannot serve metrics at \"", address,
        "\"; is the address one of this machine, and the port free? (", error.what(), ")"));
  }
  return std::unique_ptr<DebugServer>(new DebugServer(std::move(library)));
}

DebugServer::DebugServer(std::unique_ptr<Library> library) : library_(std::move(library)) {}

DebugServer::~DebugServer() = default;

uint16_t DebugServer::port() const {
  const std::vector<int> ports = library_->exposer->GetListeningPorts();
  return ports.empty() ? 0 : static_cast<uint16_t>(ports[0]);
}

}  // namespace rcproxy::proxy
