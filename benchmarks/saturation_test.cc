#include "benchmarks/saturation.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace rcproxy::benchmarks {
namespace {

SaturationOptions ShortRun() {
  SaturationOptions options;
  options.node_ports = {0, 0};
  options.clients = 3;
  options.warmup_seconds = 0.01;
  options.seconds = 0.05;
  return options;
}

std::string Address(uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

// The clients talk to a fake node directly, which is the cheapest possible proxy.
TEST(SaturationTest, ClientsAndNodesUnderstandEachOther) {
  for (bool read : {false, true}) {
    for (int pipeline : {1, 64}) {
      SaturationOptions options = ShortRun();
      options.read = read;
      options.pipeline = pipeline;
      auto saturation = Saturation::Create(options);
      ASSERT_TRUE(saturation.ok()) << saturation.status();
      auto result = (*saturation)->Run(Address((*saturation)->node_ports()[1]), getpid());
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_GT(result->requests_per_second, 100);
      EXPECT_GT(result->proxy_us, 0);
      EXPECT_GE(result->p99_us, result->p50_us);
    }
  }
}

TEST(SaturationTest, ValuesLargerThanTheSocketsBuffersPass) {
  SaturationOptions options = ShortRun();
  options.value_bytes = 3 << 20;
  options.clients = 2;
  for (bool read : {false, true}) {
    options.read = read;
    auto saturation = Saturation::Create(options);
    ASSERT_TRUE(saturation.ok()) << saturation.status();
    auto result = (*saturation)->Run(Address((*saturation)->node_ports()[0]), getpid());
    ASSERT_TRUE(result.ok()) << result.status();
  }
}

TEST(SaturationTest, AWrongReplyEndsTheRun) {
  // A node of another size of values stands for a proxy that answers wrongly.
  SaturationOptions wrong_size = ShortRun();
  wrong_size.value_bytes = 63;
  auto node = Saturation::Create(wrong_size);
  ASSERT_TRUE(node.ok());
  pid_t child = fork();
  if (child == 0) {
    int never[2];
    if (pipe(never) == 0) (void)(*node)->ServeUntilReadable(never[0]);
    _exit(0);
  }
  SaturationOptions options = ShortRun();
  options.read = true;
  options.seconds = 10;
  auto saturation = Saturation::Create(options);
  ASSERT_TRUE(saturation.ok());
  auto result = (*saturation)->Run(Address((*node)->node_ports()[0]), getpid());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDataLoss) << result.status();
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST(SaturationTest, WaitsForTheSignalWhileServing) {
  auto saturation = Saturation::Create(ShortRun());
  ASSERT_TRUE(saturation.ok());
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  EXPECT_TRUE((*saturation)->ServeUntilReadable(ends[0]).ok());
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace rcproxy::benchmarks
