#include "benchmarks/process_cpu.h"

#include <unistd.h>

#include "gtest/gtest.h"

namespace rcproxy::benchmarks {
namespace {

TEST(ProcessCpuTest, CountsTheWorkOfThisProcess) {
  CpuSeconds before = ReadProcessCpu(getpid());
  double own_before = ReadOwnCpuSeconds();
  double machine_before = ReadMachineCpuSeconds();
  while (ReadOwnCpuSeconds() - own_before < 0.06) {
  }
  CpuSeconds used = ReadProcessCpu(getpid()) - before;
  EXPECT_GT(used.total, 0.03);
  EXPECT_GT(used.user + used.system, 0.02);
  EXPECT_GT(ReadMachineCpuSeconds() - machine_before, 0.02);
}

TEST(ProcessCpuTest, AProcessThatIsGoneUsedNothing) { EXPECT_EQ(ReadProcessCpu(1 << 30).total, 0); }

}  // namespace
}  // namespace rcproxy::benchmarks
