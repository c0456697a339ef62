// Runs simulations of the proxy, one seed after another, until one fails.
//
//   bazel run //testing:simulate -- --seed=17            # one seed
//   bazel run //testing:simulate -- --seed=1 --runs=1000 # many
#include <gflags/gflags.h>
#include <glog/logging.h>

#include <cinttypes>
#include <cstdio>

#include "testing/sim_proxy.h"
#include "testing/simulator.h"
#include "testing/simulator_summary.h"

DEFINE_uint64(seed, 1, "The first seed");
DEFINE_uint64(runs, 1, "How many seeds, one after another");
DEFINE_int32(duration_ms, 800, "Virtual milliseconds of faults in each run");
DEFINE_int64(healthy_within_ms, -1, "From the end of all faults until all is served; 0: any time");
DEFINE_int64(reply_slack_ms, -1, "Of replies, after --request_timeout; 0: any time");
DEFINE_string(key, "", "Prints what the nodes have executed on this key");
DEFINE_bool(history, false, "Prints the faults of each run");

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  google::InitGoogleLogging(argv[0]);
  using rcproxy::sim::kMillisecond;
  using rcproxy::sim::SimulatorResult;
  rcproxy::sim::SimulatorLimits limits;
  if (FLAGS_healthy_within_ms >= 0)
    limits.healthy_within_ns = FLAGS_healthy_within_ms * kMillisecond;
  if (FLAGS_reply_slack_ms >= 0) limits.reply_slack_ns = FLAGS_reply_slack_ms * kMillisecond;
  rcproxy::sim::SweepSummary summary;
  for (uint64_t seed = FLAGS_seed; seed < FLAGS_seed + FLAGS_runs; ++seed) {
    // Before the run, so that it is known also when the run dies.
    std::fprintf(stderr, "seed %" PRIu64 "\r", seed);
    rcproxy::sim::Simulator simulator(seed, FLAGS_duration_ms * kMillisecond,
                                      rcproxy::sim::MakeProxy, limits);
    const SimulatorResult result = simulator.Run();
    summary.Add(seed, result);
    const bool failed = !result.problem.empty();
    if (failed || FLAGS_history) std::printf("%s\n", result.history.c_str());
    if (!FLAGS_key.empty()) std::printf("%s\n", simulator.ExecutionsOf(FLAGS_key).c_str());
    std::printf("seed %" PRIu64 ": %" PRIu64 " commands, %" PRIu64 " errors, %" PRIu64
                " faults, healthy after %" PRId64 " ms, replies late by %" PRId64 " ms (%s)\n",
                seed, result.commands, result.errors, result.faults,
                result.healthy_after_ns / kMillisecond, result.reply_late_ns / kMillisecond,
                result.setting.c_str());
    if (failed) {
      std::printf("FAILED: %s\nrepeat: bazel run //testing:simulate -- --seed=%" PRIu64
                  " --duration_ms=%d\n",
                  result.problem.c_str(), seed, FLAGS_duration_ms);
      return 1;
    }
  }
  std::printf("%s", summary.Text().c_str());
  return 0;
}
