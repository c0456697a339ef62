// What every request costs before it has a node: name -> spec, spec -> key, key -> slot.
#include <string>
#include <string_view>
#include <vector>

#include "benchmark/benchmark.h"
#include "cluster/command_for_test.h"
#include "cluster/command_keys.h"
#include "cluster/command_table.h"
#include "cluster/hash_slot.h"

namespace rcproxy::cluster {
namespace {

// Keys of one size, more than the branch predictor could learn by heart.
std::vector<std::string> MakeKeys(size_t size, bool tagged) {
  std::vector<std::string> keys;
  for (int i = 0; i < 256; ++i) {
    std::string key =
        (tagged ? "{user:" : "user:") + std::to_string(i * 7919) + (tagged ? "}" : "");
    key.resize(size, 'x');
    keys.push_back(key);
  }
  return keys;
}

void BM_HashSlot(benchmark::State& state) {
  const std::vector<std::string> keys = MakeKeys(static_cast<size_t>(state.range(0)), false);
  size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(HashSlot(keys[at++ % 256]));
}
BENCHMARK(BM_HashSlot)->Arg(4)->Arg(8)->Arg(16)->Arg(18)->Arg(20)->Arg(32)->Arg(64)->Arg(256);

void BM_HashSlotWithTag(benchmark::State& state) {
  const std::vector<std::string> keys = MakeKeys(static_cast<size_t>(state.range(0)), true);
  size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(HashSlot(keys[at++ % 256]));
}
BENCHMARK(BM_HashSlotWithTag)->Arg(20)->Arg(32);

void BM_FindCommand(benchmark::State& state) {
  const std::vector<std::string> names = {"GET",
                                          "set",
                                          "MGET",
                                          "hset",
                                          "EXPIRE",
                                          "LPUSH",
                                          "ZADD",
                                          "ZREVRANGEBYSCORE",
                                          "XADD",
                                          "incr",
                                          "DEL",
                                          "EVALSHA",
                                          "georadiusbymember_ro",
                                          "PING",
                                          "SISMEMBER",
                                          "Get"};
  size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(FindCommand(names[at++ % 16]));
}
BENCHMARK(BM_FindCommand);

void BM_FindCommandGet(benchmark::State& state) {
  std::string name = "GET";
  for (auto _ : state) {
    benchmark::DoNotOptimize(name.data());
    benchmark::DoNotOptimize(FindCommand(name));
  }
}
BENCHMARK(BM_FindCommandGet);

void BM_FindKeys(benchmark::State& state, std::string_view line) {
  const CommandForTest command(Words(line));
  const resp::CommandView view = command.view();
  const CommandSpec* spec = FindCommand(view[0]);
  for (auto _ : state) {
    KeyRuns found = FindKeys(*spec, view);
    benchmark::DoNotOptimize(found);
  }
}
BENCHMARK_CAPTURE(BM_FindKeys, get, "GET key");
BENCHMARK_CAPTURE(BM_FindKeys, mget_of_ten, "MGET a b c d e f g h i j");
BENCHMARK_CAPTURE(BM_FindKeys, evalsha, "EVALSHA 0123 2 a b c");
BENCHMARK_CAPTURE(BM_FindKeys, xreadgroup, "XREADGROUP GROUP g c COUNT 10 STREAMS a b > >");

void BM_NameKeyAndSlot(benchmark::State& state) {
  const CommandForTest command({"GET", "user:0123456789:ab"});
  const resp::CommandView view = command.view();
  for (auto _ : state) {
    const CommandSpec* spec = FindCommand(view[0]);
    const KeyRuns found = FindKeys(*spec, view);
    benchmark::DoNotOptimize(HashSlot(view[found.runs[0].first]));
  }
}
BENCHMARK(BM_NameKeyAndSlot);

}  // namespace
}  // namespace rcproxy::cluster
