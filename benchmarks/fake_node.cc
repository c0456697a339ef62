#include "benchmarks/fake_node.h"

#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace rcproxy::benchmarks {
namespace {

constexpr uint32_t kSlots = 16384;
constexpr size_t kBufferBytesMin = 256 << 10;
constexpr resp::RequestLimits kLimits = {.args_max = 1 << 20,
                                         .bulk_bytes_max = 64 << 20,
                                         .inline_bytes_max = 64 << 10,
                                         .command_bytes_max = 128 << 20};

// The part of a command in front of its key's digits.
constexpr char kSetPrefix[] = "*3\r\n$3\r\nSET\r\n$16\r\nkey:";
constexpr char kGetPrefix[] = "*2\r\n$3\r\nGET\r\n$16\r\nkey:";

std::string Bulk(const std::string& text) {
  return absl::StrCat("$", text.size(), "\r\n", text, "\r\n");
}

std::string NodeId(size_t node) { return absl::StrFormat("%040x", node + 1); }

// An argument in upper case; empty when there is none.
std::string Word(const resp::CommandView& command, size_t index) {
  if (index >= command.size()) return "";
  std::string word(command[index]);
  absl::AsciiStrToUpper(&word);
  return word;
}

// Commands of a handshake whose only answer of interest is that they worked.
bool IsAnsweredOk(const std::string& name) {
  for (const char* known : {"AUTH", "CLIENT", "SELECT", "READONLY", "READWRITE", "ASKING", "SET",
                            "MSET", "CONFIG", "QUIT"}) {
    if (name == known) return true;
  }
  return false;
}

void AppendHello(const resp::CommandView& command, std::string* output) {
  bool resp3 = Word(command, 1) == "3";
  absl::StrAppend(output, resp3 ? "%4\r\n" : "*8\r\n", Bulk("server"), Bulk("redis"),
                  Bulk("version"), Bulk("7.0.15"), Bulk("proto"), resp3 ? ":3\r\n" : ":2\r\n",
                  Bulk("mode"), Bulk("cluster"));
}

}  // namespace

std::string EncodeSet(uint32_t key, size_t value_bytes) {
  return absl::StrCat(kSetPrefix, absl::StrFormat("%012u", key), "\r\n",
                      Bulk(std::string(value_bytes, 'x')));
}

std::string EncodeGet(uint32_t key) {
  return absl::StrCat(kGetPrefix, absl::StrFormat("%012u", key), "\r\n");
}

std::string EncodeGetReply(size_t value_bytes) { return Bulk(std::string(value_bytes, 'x')); }

FakeCluster::FakeCluster(std::vector<uint16_t> ports, size_t value_bytes)
    : ports_(std::move(ports)),
      set_prefix_(kSetPrefix),
      get_prefix_(kGetPrefix),
      set_bytes_(EncodeSet(0, value_bytes).size()),
      get_bytes_(EncodeGet(0).size()),
      get_reply_(EncodeGetReply(value_bytes)) {}

size_t FakeCluster::MatchGenerated(std::string_view input, std::string_view* reply) const {
  if (input.starts_with(set_prefix_)) {
    *reply = "+OK\r\n";
    return set_bytes_;
  }
  if (input.starts_with(get_prefix_)) {
    *reply = get_reply_;
    return get_bytes_;
  }
  return 0;
}

void FakeCluster::Answer(const resp::CommandView& command, std::string* output) const {
  const std::string name = Word(command, 0);
  if (name == "GET") {
    output->append(get_reply_);
  } else if (name == "MGET") {
    absl::StrAppend(output, "*", command.size() - 1, "\r\n");
    for (size_t i = 1; i < command.size(); ++i) output->append(get_reply_);
  } else if (name == "PING") {
    output->append("+PONG\r\n");
  } else if (name == "CLUSTER") {
    AnswerCluster(command, output);
  } else if (name == "HELLO") {
    AppendHello(command, output);
  } else if (name == "INFO") {
    output->append(
        Bulk("# Server\r\nredis_version:7.0.15\r\nredis_mode:cluster\r\n"
             "# Replication\r\nrole:master\r\nloading:0\r\n"));
  } else if (name == "COMMAND") {
    output->append("*0\r\n");
  } else if (IsAnsweredOk(name)) {
    output->append("+OK\r\n");
  } else {
    absl::StrAppend(output, "-ERR unknown command '", name.substr(0, 40), "'\r\n");
  }
}

void FakeCluster::AnswerCluster(const resp::CommandView& command, std::string* output) const {
  const std::string what = Word(command, 1);
  if (what == "SHARDS") {
    output->append(DescribeShards());
  } else if (what == "SLOTS") {
    output->append(DescribeSlots());
  } else if (what == "NODES") {
    output->append(Bulk(DescribeNodes()));
  } else if (what == "INFO") {
    output->append(
        Bulk("cluster_state:ok\r\ncluster_slots_assigned:16384\r\n"
             "cluster_slots_ok:16384\r\ncluster_current_epoch:1\r\n"));
  } else {
    output->append("-ERR unknown subcommand\r\n");
  }
}

uint32_t FakeCluster::FirstSlot(size_t node) const {
  return static_cast<uint32_t>(kSlots * node / ports_.size());
}

std::string FakeCluster::DescribeShards() const {
  std::string out = absl::StrCat("*", ports_.size(), "\r\n");
  for (size_t node = 0; node < ports_.size(); ++node) {
    absl::StrAppend(&out, "*4\r\n", Bulk("slots"), "*2\r\n:", FirstSlot(node), "\r\n:");
    absl::StrAppend(&out, FirstSlot(node + 1) - 1, "\r\n", Bulk("nodes"), "*1\r\n*14\r\n");
    absl::StrAppend(&out, Bulk("id"), Bulk(NodeId(node)), Bulk("port"), ":", ports_[node], "\r\n");
    absl::StrAppend(&out, Bulk("ip"), Bulk("127.0.0.1"), Bulk("endpoint"), Bulk("127.0.0.1"));
    absl::StrAppend(&out, Bulk("role"), Bulk("master"), Bulk("replication-offset"), ":0\r\n");
    absl::StrAppend(&out, Bulk("health"), Bulk("online"));
  }
  return out;
}

std::string FakeCluster::DescribeSlots() const {
  std::string out = absl::StrCat("*", ports_.size(), "\r\n");
  for (size_t node = 0; node < ports_.size(); ++node) {
    absl::StrAppend(&out, "*3\r\n:", FirstSlot(node), "\r\n:", FirstSlot(node + 1) - 1, "\r\n");
    absl::StrAppend(&out, "*4\r\n", Bulk("127.0.0.1"), ":", ports_[node], "\r\n");
    absl::StrAppend(&out, Bulk(NodeId(node)), "*0\r\n");
  }
  return out;
}

std::string FakeCluster::DescribeNodes() const {
  std::string out;
  for (size_t node = 0; node < ports_.size(); ++node) {
    absl::StrAppend(&out, NodeId(node), " 127.0.0.1:", ports_[node], "@", ports_[node] + 10000,
                    node == 0 ? " myself,master" : " master", " - 0 0 ", node + 1, " connected ");
    absl::StrAppend(&out, FirstSlot(node), "-", FirstSlot(node + 1) - 1, "\n");
  }
  return out;
}

FakeNodeSession::FakeNodeSession(const FakeCluster* cluster)
    : cluster_(cluster), buffer_(kBufferBytesMin) {}

std::span<char> FakeNodeSession::ReceiveSpace() {
  if (kept_bytes_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
  return std::span<char>(buffer_).subspan(kept_bytes_);
}

bool FakeNodeSession::Received(size_t count, std::string* output) {
  std::string_view input(buffer_.data(), kept_bytes_ + count);
  while (!input.empty() && !failed_) {
    size_t answered = AnswerOne(input, output);
    if (answered == 0) break;
    input.remove_prefix(answered);
  }
  kept_bytes_ = input.size();
  if (input.data() != buffer_.data()) memmove(buffer_.data(), input.data(), input.size());
  return !failed_;
}

size_t FakeNodeSession::AnswerOne(std::string_view input, std::string* output) {
  std::string_view reply;
  if (size_t size = cluster_->MatchGenerated(input, &reply); size != 0 && input.size() >= size) {
    if (input[size - 1] == '\n') {
      output->append(reply);
      return size;
    }
  }
  // A cut command is scanned from its start again when more arrives: rare, and then the scanner has
  // no state to keep in step with the quick path above.
  scanner_.Reset();
  switch (scanner_.Scan(input, kLimits)) {
    case resp::ScanStatus::kNeedMore:
      return 0;
    case resp::ScanStatus::kCommand:
      cluster_->Answer(scanner_.command(), output);
      return scanner_.consumed();
    case resp::ScanStatus::kEmpty:
      return scanner_.consumed();
    case resp::ScanStatus::kError:
      failed_ = true;
      return 0;
  }
  return 0;
}

}  // namespace rcproxy::benchmarks
