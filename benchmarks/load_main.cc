// Drives a proxy (or a server) with reads and writes, checks everything that is read back, and
// prints throughput and latency. Exits with 2 when a reply was wrong.
//
//   load --addr=127.0.0.1:7700 --seconds=10                  as fast as 50 clients can
//   load --addr=127.0.0.1:7700 --seconds=10 --rate=15000     15,000 requests per second
//   load --addr=127.0.0.1:7700 --requests_per_connection=1   a new connection for each request
//
// It writes keys that begin with --key_prefix and leaves them there.

#include <sys/prctl.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/status/statusor.h"
#include "benchmarks/load_runner.h"
#include "gflags/gflags.h"

DEFINE_string(addr, "127.0.0.1:7700", "host:port of the proxy");
DEFINE_uint32(clients, 50, "connections");
DEFINE_uint32(pipeline, 1, "requests each client keeps under way (without --rate)");
DEFINE_double(seconds, 5, "how long to measure");
DEFINE_double(rate, 0, "requests per second at fixed times; 0: as many as are answered");
DEFINE_double(read_ratio, 0.9, "share of GET; the rest is SET");
DEFINE_uint32(value_bytes, 64, "size of the values");
DEFINE_uint32(keys, 10000, "how many keys are used");
DEFINE_string(key_prefix, "load:", "of all keys; nobody else may write them meanwhile");
DEFINE_bool(verify, true, "check the values that are read");
DEFINE_uint32(requests_per_connection, 0, "open a new connection after so many; 0: never");
DEFINE_uint64(seed, 1, "of the random choice of keys and commands");
DEFINE_bool(json, false, "print one line of JSON");

namespace rcproxy::benchmarks {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitWrongReplies = 2;

LoadOptions OptionsFromFlags() {
  LoadOptions options;
  options.address = FLAGS_addr;
  options.key_prefix = FLAGS_key_prefix;
  options.clients = FLAGS_clients;
  options.pipeline = FLAGS_pipeline;
  options.seconds = FLAGS_seconds;
  options.rate = FLAGS_rate;
  options.read_ratio = FLAGS_read_ratio;
  options.value_bytes = FLAGS_value_bytes;
  options.keys = FLAGS_keys;
  options.verify = FLAGS_verify;
  options.requests_per_connection = FLAGS_requests_per_connection;
  options.seed = FLAGS_seed;
  return options;
}

bool FlagsAreUsable() {
  const char* problem = nullptr;
  if (FLAGS_clients == 0 || FLAGS_pipeline == 0) problem = "--clients and --pipeline start at 1";
  if (FLAGS_rate < 0) problem = "--rate is not negative";
  if (FLAGS_rate > 0 && FLAGS_requests_per_connection > 0) {
    problem = "--rate and --requests_per_connection exclude each other";
  }
  if (problem != nullptr) fprintf(stderr, "load: %s\n", problem);
  return problem == nullptr;
}

void PrintText(const LoadReport& report) {
  auto ms = [&report](double fraction) {
    return static_cast<double>(report.latency.Percentile(fraction)) * 1e-6;
  };
  auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  printf("%llu requests (%llu GET, %llu SET) in %.2f s: %.0f per second\n",
         number(report.requests()), number(report.reads), number(report.writes), report.seconds,
         static_cast<double>(report.requests()) / report.seconds);
  printf("latency ms: p50 %.3f  p99 %.3f  p99.9 %.3f  max %.3f\n", ms(0.5), ms(0.99), ms(0.999),
         static_cast<double>(report.latency.max_nanoseconds()) * 1e-6);
  printf(
      "errors %llu, lost %llu, unanswered %llu, disconnects %llu, connections %llu, longest "
      "silence %.3f s\n",
      number(report.errors), number(report.lost), number(report.unanswered),
      number(report.disconnects), number(report.connections), report.longest_silence_seconds);
  printf("wrong replies: %llu\n", number(report.wrong()));
  for (size_t i = 1; i < kVerdictCount; ++i) {
    if (report.verdicts[i] == 0) continue;
    printf("  %s: %llu\n", VerdictName(static_cast<Verdict>(i)), number(report.verdicts[i]));
  }
  if (!report.first_error.empty()) printf("first error: %s\n", report.first_error.c_str());
}

int Main() {
  if (!FlagsAreUsable()) return kExitFailed;
  // The kernel would wake us up to 50 us late, which would be counted as latency of the proxy.
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  LoadRunner runner(OptionsFromFlags());
  absl::StatusOr<LoadReport> report = runner.Run();
  if (!report.ok()) {
    fprintf(stderr, "load: %s\n", std::string(report.status().message()).c_str());
    return kExitFailed;
  }
  if (FLAGS_json) {
    printf("%s\n", report->ToJson().c_str());
  } else {
    PrintText(*report);
  }
  return report->wrong() == 0 ? 0 : kExitWrongReplies;
}

}  // namespace
}  // namespace rcproxy::benchmarks

int main(int argc, char** argv) {
  gflags::SetUsageMessage("drives a proxy and checks what it reads back");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  return rcproxy::benchmarks::Main();
}
