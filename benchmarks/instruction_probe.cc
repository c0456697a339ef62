// Does each step of a request's way many times, for callgrind to count instructions. What it does
// depends on nothing but this file: no clock, no randomness, no arguments.
//
// Each operation is done once for nothing, which fills pools and binds functions, and then in two
// measurements: MeasurementBegins, n times the operation, MeasurementEnds, and a line "NAME n" on
// standard output. Callgrind counts from the one function to the other. The difference between the
// two numbers belongs to kMany - kFew operations; what is outside their loop drops out.
#include <glog/logging.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/command_for_test.h"
#include "cluster/command_keys.h"
#include "cluster/command_table.h"
#include "cluster/hash_slot.h"
#include "proxy/output_queue.h"
#include "proxy/reply_merger.h"
#include "proxy/request.h"
#include "proxy/router_for_test.h"
#include "proxy/split_state.h"
#include "resp/reply_scanner.h"
#include "resp/request_scanner.h"
#include "uring/chunk.h"

// Callgrind knows them by these names. The comments in the assembly keep the compiler from leaving
// out the calls, from moving work across them, and from making one function of the two.
extern "C" {
__attribute__((noinline)) void MeasurementBegins() { asm volatile("# begins" ::: "memory"); }
__attribute__((noinline)) void MeasurementEnds() { asm volatile("# ends" ::: "memory"); }
}

namespace rcproxy::benchmarks {
namespace {

using cluster::CommandForTest;
using cluster::Words;
using proxy::Bulk;
using proxy::Multibulk;

#if defined(__OPTIMIZE__) && defined(NDEBUG)
constexpr bool kIsOptimised = true;
#else
constexpr bool kIsOptimised = false;
#endif

constexpr int kFew = 50;
constexpr int kMany = 150;

// As if `value` were used, and any memory changed.
template <class T>
void Keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

// A copy of `bytes` at the begin of a cache line: the C library takes other ways for other
// alignments, and what the heap gives changes with each unrelated allocation.
class Aligned {
 public:
  explicit Aligned(std::string_view bytes) : size_(bytes.size()) {
    CHECK_LE(bytes.size(), sizeof(data_));
    std::memcpy(data_, bytes.data(), bytes.size());
  }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  const char* data() const { return data_; }
  std::string_view view() const { return {data_, size_}; }

 private:
  alignas(64) char data_[1024] = {};
  const size_t size_;
};

// The same in a chunk, with one reference for the caller.
uring::Slice AlignedSlice(proxy::Resources* resources, std::string_view bytes) {
  uring::Chunk* chunk = resources->output_pool.TakeLarge(bytes.size() + 64);
  char* data = chunk->data + (64 - reinterpret_cast<uintptr_t>(chunk->data) % 64) % 64;
  std::memcpy(data, bytes.data(), bytes.size());
  return uring::Slice::Adopt(chunk, data, bytes.size());
}

// `prepare` and `finish` surround each loop and are not measured.
template <class Prepare, class Operation, class Finish>
void Measure(const char* name, Prepare prepare, Operation operation, Finish finish) {
  prepare(kMany);
  for (int i = 0; i < kMany; ++i) operation(i);
  finish();
  for (const int count : {kFew, kMany}) {
    prepare(count);
    MeasurementBegins();
    for (int i = 0; i < count; ++i) operation(i);
    MeasurementEnds();
    finish();
    std::printf("%s %d\n", name, count);
  }
}

template <class Operation>
void Measure(const char* name, Operation operation) {
  Measure(
      name, [](int) {}, operation, [] {});
}

void MeasureRequestScan(const char* name, const std::string& bytes) {
  const Aligned aligned(bytes);
  const std::string_view input = aligned.view();
  resp::RequestScanner scanner;
  Measure(name, [&](int) {
    Keep(scanner.Scan(input, resp::kDefaultRequestLimits));
    Keep(scanner.command());
    scanner.Reset();
  });
}

void MeasureCutRequestScan(const char* name, const std::string& bytes, size_t first_bytes) {
  const Aligned aligned(bytes);
  const std::string_view whole = aligned.view();
  resp::RequestScanner scanner;
  Measure(name, [&](int) {
    Keep(scanner.Scan(whole.substr(0, first_bytes), resp::kDefaultRequestLimits));
    Keep(scanner.Scan(whole, resp::kDefaultRequestLimits));
    scanner.Reset();
  });
}

void MeasureReplyScan(const char* name, const std::string& bytes) {
  const Aligned aligned(bytes);
  const std::string_view input = aligned.view();
  resp::ReplyScanner scanner;
  Measure(name, [&](int) { Keep(scanner.Scan(input)); });
}

void MeasureScanners() {
  const std::string value(64, 'v');
  const std::string set = Multibulk({"SET", "user:0123456789:ab", value});
  MeasureRequestScan("request_scan_get", Multibulk({"GET", "user:0123456789:ab"}));
  MeasureRequestScan("request_scan_set", set);
  MeasureRequestScan("request_scan_mget10", Multibulk(Words("MGET k0 k1 k2 k3 k4 k5 k6 k7 k8 k9")));
  MeasureRequestScan("request_scan_inline", "GET user:0123456789:ab\r\n");
  MeasureCutRequestScan("request_scan_cut", set, set.size() - 20);
  MeasureReplyScan("reply_scan_ok", "+OK\r\n");
  MeasureReplyScan("reply_scan_bulk", Bulk(value));
  std::string array = "*10\r\n";
  for (int i = 0; i < 10; ++i) array += Bulk(value);
  MeasureReplyScan("reply_scan_array10", array);
}

void MeasureSlot(const char* name, const std::string& key) {
  const Aligned aligned(key);
  Measure(name, [&](int) { Keep(cluster::HashSlot(aligned.view())); });
}

void MeasureCommand(const char* name, const std::string& command) {
  const Aligned aligned(command);
  Measure(name, [&](int) { Keep(cluster::FindCommand(aligned.view())); });
}

void MeasureKeys(const char* name, std::string_view line) {
  const CommandForTest command(Words(line));
  const Aligned aligned(command.view().bytes());
  const resp::CommandView view = command.view().At(aligned.data());
  const cluster::CommandSpec* spec = cluster::FindCommand(view[0]);
  Measure(name, [&](int) { Keep(cluster::FindKeys(*spec, view)); });
}

void MeasureLookups() {
  MeasureSlot("slot", "user:0123456789:ab");
  MeasureSlot("slot_tag", "{user:0123456789}:ab");
  MeasureCommand("command_short", "GET");
  MeasureCommand("command_long", "GeoRadiusByMember_RO");
  MeasureKeys("keys_get", "GET k0");
  MeasureKeys("keys_mget10", "MGET k0 k1 k2 k3 k4 k5 k6 k7 k8 k9");
  MeasureKeys("keys_evalsha", "EVALSHA 0123 2 k0 k1 argument");
  proxy::RouterForTest cluster;
  Measure("route_lookup", [&](int i) {
    const uint16_t slot = static_cast<uint16_t>(i) * 109 % cluster::kSlotCount;
    Keep(cluster.table.Find(slot).primary);
  });
}

// Lets the nodes have what has been sent, and answers all of it: each with its own reply, for each
// command.
void AnswerAll(proxy::RouterForTest* cluster, int commands,
               const std::vector<std::string>& replies) {
  cluster->Settle();
  proxy::NodeForTest* nodes[] = {&cluster->a, &cluster->b, &cluster->c};
  for (size_t node = 0; node < replies.size(); ++node) {
    if (!nodes[node]->HasInput()) continue;
    nodes[node]->Take();
    for (int i = 0; i < commands; ++i) nodes[node]->Reply(replies[node]);
  }
  cluster->sim.RunUntil([&] {
    cluster->client.Take();
    return cluster->client.replies.empty();
  });
}

// From a scanned command to what the nodes' connections will send. Keys of a, b and c are on three
// nodes.
void MeasureRoute(const char* name, std::string_view line,
                  const std::vector<std::string>& replies) {
  proxy::RouterForTest cluster;
  cluster.OpenAll();
  const CommandForTest command(Words(line));
  const uring::Slice bytes = AlignedSlice(&cluster.sim.resources, command.view().bytes());
  const resp::CommandView view = command.view().At(bytes.data());
  const cluster::CommandSpec* spec = cluster::FindCommand(view[0]);
  int commands = 0;
  Measure(
      name, [&](int count) { commands = count; },
      [&](int) { Keep(cluster.router.Route(&cluster.client.replies, *spec, view, bytes.chunk())); },
      [&] { AnswerAll(&cluster, commands, replies); });
}

proxy::Request* AnsweredPart(proxy::Resources* resources, proxy::SplitState* split,
                             uring::Slice reply) {
  proxy::Request* part = resources->NewRequest();
  part->sink = proxy::Request::Sink::kPart;
  part->split_parent = split;
  part->state = proxy::Request::State::kAnswered;
  part->bytes = std::move(reply);
  return part;
}

// From the replies to three parts with 4, 3 and 3 keys to the reply in the client's output.
void MeasureMerge(const char* name) {
  proxy::SimForTest sim;
  proxy::Resources& resources = sim.resources;
  const std::string element = Bulk(std::string(64, 'v'));
  std::vector<uring::Slice> replies;
  for (const int keys : {4, 3, 3}) {
    std::string reply = "*" + std::to_string(keys) + "\r\n";
    for (int i = 0; i < keys; ++i) reply += element;
    replies.push_back(AlignedSlice(&resources, reply));
  }
  std::vector<proxy::SplitState*> splits;
  const auto prepare = [&](int count) {
    splits.clear();
    for (int i = 0; i < count; ++i) {
      splits.push_back(resources.splits.New());
      splits.back()->merge = cluster::Merge::kKeyOrder;
      splits.back()->part_of_key = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0};
      for (const uring::Slice& reply : replies) {
        splits.back()->parts.push_back(AnsweredPart(&resources, splits.back(), reply));
      }
    }
  };
  proxy::OutputQueue output(resources.client_memory);
  const auto merge = [&](int i) {
    proxy::MergeReplies(resources, *splits[i], &output);
    proxy::FreeSplit(resources, splits[i]);
  };
  Measure(name, prepare, merge, [&] { output.Clear(); });
}

void MeasureRouter() {
  MeasureRoute("route_get", "GET {a}0", {"", "", "$1\r\nv\r\n"});
  MeasureRoute("split_mget10", "MGET {b}0 {c}0 {a}0 {b}1 {c}1 {a}1 {b}2 {c}2 {a}2 {b}3",
               {"*4\r\n_\r\n_\r\n_\r\n_\r\n", "*3\r\n_\r\n_\r\n_\r\n", "*3\r\n_\r\n_\r\n_\r\n"});
  MeasureMerge("merge_mget10");
}

}  // namespace
}  // namespace rcproxy::benchmarks

int main() {
  if (!rcproxy::benchmarks::kIsOptimised) {
    std::fputs("instruction_probe was built without --config=opt: its numbers mean nothing\n",
               stderr);
    return 1;
  }
  rcproxy::benchmarks::MeasureScanners();
  rcproxy::benchmarks::MeasureLookups();
  rcproxy::benchmarks::MeasureRouter();
}
