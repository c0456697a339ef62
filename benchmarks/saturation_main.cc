// Drives one proxy until it is saturated and prints, as one line of JSON, the CPU time it spends
// per request. `benchmarks/saturate` starts it together with a proxy; by hand:
//
//   saturation --nodes=1 --pipeline=16      prints {"node_ports": [40001]}: start the proxy with
//   them, 127.0.0.1:7799 4242                     then type its address and process id.

#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "benchmarks/saturation.h"
#include "gflags/gflags.h"

DEFINE_int32(nodes, 1, "how many fake nodes share the slots");
DEFINE_int32(clients, 50, "connections to the proxy");
DEFINE_int32(pipeline, 1, "requests a client sends at once");
DEFINE_int32(value_bytes, 64, "size of the values");
DEFINE_bool(read, false, "GET instead of SET");
DEFINE_double(warmup, 0.3, "seconds before measuring");
DEFINE_double(seconds, 1.5, "seconds to measure");
DEFINE_int32(cpu, 0, "CPU that this program is bound to, -1 for any");

namespace rcproxy::benchmarks {
namespace {

int Fail(const absl::Status& status) {
  fprintf(stderr, "saturation: %s\n", status.ToString().c_str());
  return 1;
}

void PrintResult(const SaturationResult& result) {
  auto field = [](const char* name, double value) {
    return absl::StrFormat("\"%s\": %.4f", name, value);
  };
  std::vector<std::string> fields = {
      field("requests_per_second", result.requests_per_second),
      field("requests_total", result.requests_total),
      field("proxy_us", result.proxy_us),
      field("proxy_user_us", result.proxy_user_us),
      field("proxy_system_us", result.proxy_system_us),
      field("proxy_busy", result.proxy_busy),
      field("generator_us", result.generator_us),
      field("generator_busy", result.generator_busy),
      field("other_busy", result.other_busy),
      field("p50_us", result.p50_us),
      field("p99_us", result.p99_us),
  };
  printf("{%s}\n", absl::StrJoin(fields, ", ").c_str());
}

int Main() {
  if (FLAGS_cpu >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(FLAGS_cpu, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
  }
  SaturationOptions options;
  options.node_ports.assign(static_cast<size_t>(FLAGS_nodes), 0);
  options.value_bytes = static_cast<size_t>(FLAGS_value_bytes);
  options.clients = FLAGS_clients;
  options.pipeline = FLAGS_pipeline;
  options.read = FLAGS_read;
  options.warmup_seconds = FLAGS_warmup;
  options.seconds = FLAGS_seconds;
  auto saturation = Saturation::Create(options);
  if (!saturation.ok()) return Fail(saturation.status());
  printf("{\"node_ports\": [%s]}\n", absl::StrJoin((*saturation)->node_ports(), ", ").c_str());
  fflush(stdout);

  absl::Status served = (*saturation)->ServeUntilReadable(STDIN_FILENO);
  if (!served.ok()) return Fail(served);
  char address[256];
  int pid = 0;
  if (scanf("%255s %d", address, &pid) != 2) {
    return Fail(absl::InvalidArgumentError("expected the proxy's address and process id"));
  }
  absl::StatusOr<SaturationResult> result = (*saturation)->Run(address, pid);
  if (!result.ok()) return Fail(result.status());
  PrintResult(*result);
  return 0;
}

}  // namespace
}  // namespace rcproxy::benchmarks

int main(int argc, char** argv) {
  gflags::SetUsageMessage("drives a proxy between cheap clients and fake nodes");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  return rcproxy::benchmarks::Main();
}
