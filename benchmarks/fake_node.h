// What the nodes of a pretended cluster answer: the topology, the commands of a handshake, and SET
// and GET of any key. Nothing is stored, so that the cost of a node nearly vanishes and what
// remains of a measurement is the proxy.
//
// Owner: Saturation. Thread: its only one. Per data command: a comparison of the first bytes with
// the form the load generator uses, no parsing; any other command is parsed. Invariants: 1. every
// complete command is answered once, in order; 2. bytes kept between calls are an unfinished
// command. Protocol facts: the replies of CLUSTER SHARDS, SLOTS and NODES as the server documents
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command_view.h"
#include "resp/request_scanner.h"

namespace rcproxy::benchmarks {

// The commands of the load generator: a key of 16 bytes, a value of a fixed size.
std::string EncodeSet(uint32_t key, size_t value_bytes);
std::string EncodeGet(uint32_t key);
std::string EncodeGetReply(size_t value_bytes);

// Answers that are the same for all connections of all nodes. Never changes.
class FakeCluster final {
 public:
  // One primary per port on 127.0.0.1, the slots shared out evenly.
  FakeCluster(std::vector<uint16_t> ports, size_t value_bytes);

  // Appends the answer to one command.
  void Answer(const resp::CommandView& command, std::string* output) const;

  // The size of a command in the generator's own form at the front of `input`, which may be cut;
  // 0 when it is another one. Points `reply` at its answer.
  size_t MatchGenerated(std::string_view input, std::string_view* reply) const;

 private:
  void AnswerCluster(const resp::CommandView& command, std::string* output) const;
  std::string DescribeShards() const;
  std::string DescribeSlots() const;
  std::string DescribeNodes() const;
  uint32_t FirstSlot(size_t node) const;

  const std::vector<uint16_t> ports_;
  const std::string set_prefix_;
  const std::string get_prefix_;
  const size_t set_bytes_;
  const size_t get_bytes_;
  const std::string get_reply_;
};

// One connection of a proxy to one fake node.
class FakeNodeSession final {
 public:
  explicit FakeNodeSession(const FakeCluster* cluster);  // Outlives the session.

  // Where the next received bytes belong. Never empty.
  std::span<char> ReceiveSpace();
  // Answers the commands completed by `count` bytes written there. Returns false when they are not
  // commands: the connection has to be closed.
  bool Received(size_t count, std::string* output);

 private:
  // Returns the bytes of one answered command, 0 when it is cut or wrong (`failed_`).
  size_t AnswerOne(std::string_view input, std::string* output);

  const FakeCluster* const cluster_;
  resp::RequestScanner scanner_;
  std::vector<char> buffer_;
  size_t kept_bytes_ = 0;
  bool failed_ = false;
};

}  // namespace rcproxy::benchmarks
