// rcproxy: makes a Redis or Valkey Cluster look like one server.
//
// Exit codes: 0 after SIGTERM or SIGINT; 1 when it cannot start (flags, port, kernel, open files,
// no node within --startup_timeout_s).

#include <gflags/gflags.h>
#include <glog/logging.h>
#include <pthread.h>
#include <signal.h>

#include <iostream>
#include <span>
#include <thread>

#include "absl/strings/str_cat.h"
#include "proxy/config.h"
#include "proxy/descriptors.h"
#include "proxy/flag_file.h"
#include "proxy/flags.h"
#include "proxy/server.h"
#include "proxy/version.h"
#include "uring/features.h"

namespace rcproxy::proxy {
namespace {

std::string VersionText() {
  const absl::StatusOr<uring::Features> features = uring::ProbeFeatures();
  return absl::StrCat(std::string(kVersion), "\nio_uring: ",
                      features.ok() ? features->ToString() : features.status().ToString());
}

// Blocked in every thread, taken by the one that waits for them.
sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

int Fail(const absl::Status& status) {
  LOG(ERROR) << status.message();
  if (!FLAGS_logtostderr) std::cerr << "rcproxy: " << status.message() << std::endl;
  return 1;
}

int Run(const Config& config, const sigset_t& signals) {
  Server server(config);
  if (absl::Status status = server.Start(); !status.ok()) return Fail(status);
  std::thread signal_thread([&server, &signals] {
    int signal = 0;
    sigwait(&signals, &signal);
    server.Interrupt();
  });
  const absl::Status ready = server.WaitUntilReady();
  if (ready.ok()) {
    LOG(INFO) << "rcproxy " << kVersion << " is ready, " << config.workers << " workers";
    signal_thread.join();
    LOG(INFO) << "stopping";
    server.Stop();
    LOG(INFO) << "stopped";
    return 0;
  }
  pthread_kill(signal_thread.native_handle(), SIGTERM);  // No effect if it has one already.
  signal_thread.join();
  server.Stop();
  if (absl::IsCancelled(ready)) return 0;
  return Fail(ready);
}

}  // namespace
}  // namespace rcproxy::proxy

int main(int argc, char** argv) {
  using namespace rcproxy::proxy;
  gflags::SetUsageMessage(
      "makes a Redis or Valkey Cluster look like one server\n"
      "  rcproxy --startup_nodes=HOST:PORT,... [--addr=HOST:PORT]");
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--version" || argument == "-version") {
      gflags::SetVersionString(VersionText());
    }
  }
  const std::span<const char* const> arguments(argv, static_cast<size_t>(argc));
  if (const absl::Status status = CheckFlagFiles(arguments); !status.ok()) {
    std::cerr << "rcproxy: " << status.message() << std::endl;
    return 1;
  }
  gflags::ParseCommandLineFlags(&argc, &argv, /*remove_flags=*/true);
  if (argc > 1) {
    std::cerr << "rcproxy: unexpected argument \"" << argv[1] << "\"; see --help" << std::endl;
    return 1;
  }
  if (FLAGS_log_dir.empty()) FLAGS_logtostderr = true;
  google::InitGoogleLogging(argv[0]);
  google::InstallFailureSignalHandler();
  signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  absl::StatusOr<Config> config = ConfigFromFlags();
  if (!config.ok()) {
    std::cerr << "rcproxy: " << config.status().message() << std::endl;
    return 1;
  }
  if (const absl::Status status = FitToDescriptors(&*config); !status.ok()) return Fail(status);
  return Run(*config, signals);
}
