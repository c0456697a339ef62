// What scanning costs per command and per reply, whole and cut. Count instructions with
// "perf stat -e instructions:u": times vary with the machine, instructions do not.
#include <string>
#include <string_view>
#include <vector>

#include "benchmark/benchmark.h"
#include "resp/reply_scanner.h"
#include "resp/request_scanner.h"

namespace rcproxy::resp {
namespace {

std::string Command(const std::vector<std::string>& args) {
  std::string bytes = "*" + std::to_string(args.size()) + "\r\n";
  for (const std::string& arg : args) {
    bytes += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
  }
  return bytes;
}

std::string Get() { return Command({"GET", "key:000000000012"}); }
std::string Set() { return Command({"SET", "key:000000000012", std::string(64, 'v')}); }

// Scans all commands of `stream`; one iteration is the whole stream.
void ScanRequests(benchmark::State& state, const std::string& stream) {
  RequestScanner scanner;
  int64_t commands = 0;
  for (auto _ : state) {
    std::string_view rest = stream;
    while (!rest.empty()) {
      const ScanStatus status = scanner.Scan(rest, kDefaultRequestLimits);
      benchmark::DoNotOptimize(status);
      benchmark::DoNotOptimize(scanner.command());
      rest.remove_prefix(scanner.consumed());
      scanner.Reset();
      ++commands;
    }
  }
  state.SetItemsProcessed(commands);
}

void ScanReplies(benchmark::State& state, const std::string& stream) {
  ReplyScanner scanner;
  int64_t replies = 0;
  for (auto _ : state) {
    std::string_view rest = stream;
    while (!rest.empty()) {
      const ReplyScanner::Result result = scanner.Scan(rest);
      benchmark::DoNotOptimize(result.status);
      rest.remove_prefix(result.consumed);
      ++replies;
    }
  }
  state.SetItemsProcessed(replies);
}

std::string Repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

void BM_Get(benchmark::State& state) { ScanRequests(state, Get()); }
void BM_Set64(benchmark::State& state) { ScanRequests(state, Set()); }
void BM_Set4096(benchmark::State& state) {
  ScanRequests(state, Command({"SET", "key:000000000012", std::string(4096, 'v')}));
}
void BM_GetPipeline64(benchmark::State& state) { ScanRequests(state, Repeated(Get(), 64)); }
void BM_Mget10(benchmark::State& state) {
  std::vector<std::string> args(11, "key:000000000012");
  args[0] = "MGET";
  ScanRequests(state, Command(args));
}
void BM_Inline(benchmark::State& state) { ScanRequests(state, "GET key:000000000012\r\n"); }

void BM_SetCutInTheValue(benchmark::State& state) {
  const std::string stream = Set();
  RequestScanner scanner;
  for (auto _ : state) {
    ScanStatus status =
        scanner.Scan(std::string_view(stream).substr(0, stream.size() - 20), kDefaultRequestLimits);
    benchmark::DoNotOptimize(status);
    status = scanner.Scan(stream, kDefaultRequestLimits);
    benchmark::DoNotOptimize(status);
    scanner.Reset();
  }
}

void BM_ReplyOk(benchmark::State& state) { ScanReplies(state, "+OK\r\n"); }
void BM_ReplyInteger(benchmark::State& state) { ScanReplies(state, ":1\r\n"); }
void BM_ReplyNull(benchmark::State& state) { ScanReplies(state, "$-1\r\n"); }
void BM_ReplyBulk64(benchmark::State& state) {
  ScanReplies(state, "$64\r\n" + std::string(64, 'v') + "\r\n");
}
void BM_ReplyBulk4096(benchmark::State& state) {
  ScanReplies(state, "$4096\r\n" + std::string(4096, 'v') + "\r\n");
}
void BM_ReplyError(benchmark::State& state) {
  ScanReplies(state, "-MOVED 3999 127.0.0.1:6381\r\n");
}
void BM_ReplyOkPipeline64(benchmark::State& state) { ScanReplies(state, Repeated("+OK\r\n", 64)); }
void BM_ReplyMget10(benchmark::State& state) {
  ScanReplies(state, "*10\r\n" + Repeated("$64\r\n" + std::string(64, 'v') + "\r\n", 10));
}

BENCHMARK(BM_Get);
BENCHMARK(BM_Set64);
BENCHMARK(BM_Set4096);
BENCHMARK(BM_GetPipeline64);
BENCHMARK(BM_Mget10);
BENCHMARK(BM_Inline);
BENCHMARK(BM_SetCutInTheValue);
BENCHMARK(BM_ReplyOk);
BENCHMARK(BM_ReplyInteger);
BENCHMARK(BM_ReplyNull);
BENCHMARK(BM_ReplyBulk64);
BENCHMARK(BM_ReplyBulk4096);
BENCHMARK(BM_ReplyError);
BENCHMARK(BM_ReplyOkPipeline64);
BENCHMARK(BM_ReplyMget10);

}  // namespace
}  // namespace rcproxy::resp
