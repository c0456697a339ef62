#include "cluster/topology_parser.h"

#include <string>
#include <string_view>
#include <vector>

#include "cluster/topology.h"
#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

const NodeAddress kAsked{"10.9.9.9", 7000};

// Replies are written down as they are read: numbers are integers, words are bulk strings, "-" is a
// null, [ ] is an array and { } a map (or, for RESP2, the flat array that stands for it).
class ReplyText {
 public:
  explicit ReplyText(bool resp3) : resp3_(resp3) {}

  std::string Encode(std::string_view text) {
    rest_ = text;
    return One(Next());
  }

 private:
  std::string_view Next() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n"), rest_.size()));
    const std::string_view word = rest_.substr(0, rest_.find_first_of(" \n"));
    rest_.remove_prefix(word.size());
    return word;
  }

  std::string Elements(std::string_view end, size_t* count) {
    std::string body;
    for (std::string_view word = Next(); word != end; word = Next(), ++*count) body += One(word);
    return body;
  }

  std::string One(std::string_view word) {
    size_t count = 0;
    if (word == "[") {
      const std::string body = Elements("]", &count);
      return "*" + std::to_string(count) + "\r\n" + body;
    }
    if (word == "{") {
      const std::string body = Elements("}", &count);
      return (resp3_ ? "%" + std::to_string(count / 2) : "*" + std::to_string(count)) + "\r\n" +
             body;
    }
    if (word == "-") return resp3_ ? "_\r\n" : "$-1\r\n";
    if (word == "''") return "$0\r\n\r\n";
    if (word.find_first_not_of("-0123456789") == std::string_view::npos) {
      return ":" + std::string(word) + "\r\n";
    }
    return "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
  }

  const bool resp3_;
  std::string_view rest_;
};

Topology Shards(std::string_view text, bool resp3 = true) {
  auto topology = ParseClusterShards(ReplyText(resp3).Encode(text), kAsked);
  EXPECT_TRUE(topology.ok()) << topology.status();
  return topology.ok() ? *std::move(topology) : Topology({}, {}, {});
}

Topology Slots(std::string_view text, bool resp3 = false) {
  auto topology = ParseClusterSlots(ReplyText(resp3).Encode(text), kAsked);
  EXPECT_TRUE(topology.ok()) << topology.status();
  return topology.ok() ? *std::move(topology) : Topology({}, {}, {});
}

std::string PrimaryOf(const Topology& topology, int shard) {
  const uint16_t primary = topology.shards().at(shard).primary;
  return primary == Shard::kNoNode ? "none" : topology.nodes()[primary].address.ToString();
}

constexpr std::string_view kTwoShards = R"(
  [ { slots [ 0 99 200 16383 ] nodes [
        { id aaa port 7001 ip 10.0.0.1 endpoint 10.0.0.1 hostname a.example role master
          replication-offset 500 health online availability-zone zone-1 something [ new 1 ] }
        { id bbb port 7002 ip 10.0.0.2 endpoint 10.0.0.2 role replica
          replication-offset 400 health fail }
        { id ccc port 7003 ip 10.0.0.3 endpoint 10.0.0.3 role replica
          replication-offset 450 health online } ] }
    { slots [ ] nodes [ { id ddd port 7004 endpoint 10.0.0.4 role master health online } ]
      future-field { a b } } ] )";

TEST(ParseClusterShardsTest, ReadsNodesAndSlotsInBothProtocols) {
  for (const bool resp3 : {false, true}) {
    const Topology topology = Shards(kTwoShards, resp3);
    ASSERT_EQ(topology.nodes().size(), 4u);
    ASSERT_EQ(topology.shards().size(), 2u);
    EXPECT_EQ(topology.slots_covered(), kSlotCount - 100);
    EXPECT_EQ(topology.ShardOfSlot(99), 0);
    EXPECT_EQ(topology.ShardOfSlot(100), Topology::kNoShard);
    const Node& first = topology.nodes()[0];
    EXPECT_EQ(first.address, (NodeAddress{"10.0.0.1", 7001}));
    EXPECT_EQ(first.id, "aaa");
    EXPECT_EQ(first.hostname, "a.example");
    EXPECT_EQ(first.availability_zone, "zone-1");
    EXPECT_EQ(first.replication_offset, 500);
    EXPECT_TRUE(first.is_primary);
    EXPECT_FALSE(topology.nodes()[1].is_online);
    EXPECT_EQ(topology.shards()[0].replicas, (std::vector<uint16_t>{2, 1}));  // Online first.
    EXPECT_EQ(PrimaryOf(topology, 1), "10.0.0.4:7004");  // Without slots, but there.
  }
  EXPECT_TRUE(Shards(kTwoShards, false).SameAs(Shards(kTwoShards, true)));
}

TEST(ParseClusterShardsTest, TakesTheAskedHostForAnEmptyEndpoint) {
  for (const std::string_view endpoint : {"endpoint ''", "endpoint -", ""}) {
    const Topology topology = Shards("[ { slots [ 0 1 ] nodes [ { port 7001 " +
                                     std::string(endpoint) + " role master health online } ] } ]");
    EXPECT_EQ(PrimaryOf(topology, 0), "10.9.9.9:7001") << endpoint;
  }
}

TEST(ParseClusterShardsTest, LeavesOutNodesThatCannotBeReached) {
  const Topology topology = Shards(R"(
    [ { slots [ 0 16383 ] nodes [
          { port 7001 endpoint ? role master health online }
          { endpoint 10.0.0.2 role replica health online }
          { port 0 endpoint 10.0.0.3 role replica health online }
          { port 65536 endpoint 10.0.0.4 role replica health online }
          { port word endpoint 10.0.0.5 role replica health online }
          not-a-node
          { tls-port 7007 endpoint 10.0.0.7 role replica health online } ] } ])");
  ASSERT_EQ(topology.nodes().size(), 1u);
  EXPECT_EQ(topology.nodes()[0].address, (NodeAddress{"10.0.0.7", 7007}));
  EXPECT_EQ(PrimaryOf(topology, 0), "none");
  EXPECT_EQ(topology.slots_covered(), kSlotCount);
}

// While a replica takes over, the shard lists the failed primary and the new one.
TEST(ParseClusterShardsTest, TakesTheOnlinePrimaryWithTheHighestOffset) {
  const Topology topology = Shards(R"(
    [ { slots [ 0 16383 ] nodes [
          { port 1 endpoint old role master replication-offset 900 health fail }
          { port 1 endpoint behind role master replication-offset 100 health online }
          { port 1 endpoint new role master replication-offset 800 health online } ] } ])");
  EXPECT_EQ(PrimaryOf(topology, 0), "new:1");
  EXPECT_FALSE(topology.nodes()[0].is_primary);
  EXPECT_TRUE(topology.shards()[0].replicas.empty());
}

TEST(ParseClusterShardsTest, KeepsAFailedPrimaryWhenThereIsNoOther) {
  const Topology topology = Shards(R"(
    [ { slots [ 0 1 ] nodes [ { port 1 endpoint a role master health fail }
                              { port 1 endpoint b role replica health loading } ] } ])");
  EXPECT_EQ(PrimaryOf(topology, 0), "a:1");
  EXPECT_FALSE(topology.nodes()[0].is_online);
  EXPECT_FALSE(topology.nodes()[1].is_online);
}

TEST(ParseClusterShardsTest, CountsAnAddressOnce) {
  const Topology topology = Shards(R"(
    [ { slots [ 0 1 ] nodes [ { port 1 endpoint a role master health online } ] }
      { slots [ 2 3 ] nodes [ { port 1 endpoint a role replica health online } ] } ])");
  EXPECT_EQ(topology.nodes().size(), 1u);
  EXPECT_EQ(PrimaryOf(topology, 1), "none");
}

TEST(ParseClusterShardsTest, RefusesMalformedReplies) {
  for (const std::string_view text :
       {"word", "7", "-", "{ a b }", "[ word ]", "[ [ ] ]", "[ { slots [ 0 1 ] } ]",
        "[ { nodes [ ] } ]", "[ { slots 7 nodes [ ] } ]", "[ { slots [ 0 1 ] nodes 7 } ]",
        "[ { slots [ 0 ] nodes [ ] } ]", "[ { slots [ 0 16384 ] nodes [ ] } ]",
        "[ { slots [ -1 5 ] nodes [ ] } ]", "[ { slots [ 6 5 ] nodes [ ] } ]",
        "[ { slots [ a b ] nodes [ ] } ]", "[ { slots [ 0 - ] nodes [ ] } ]"}) {
    const auto topology = ParseClusterShards(ReplyText(true).Encode(text), kAsked);
    ASSERT_FALSE(topology.ok()) << text;
    EXPECT_EQ(topology.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_FALSE(ParseClusterShards("", kAsked).ok());
  EXPECT_FALSE(ParseClusterShards("*1\r\n", kAsked).ok());
  EXPECT_FALSE(ParseClusterShards("*0\r\n*0\r\n", kAsked).ok());
}

TEST(ParseClusterShardsTest, ReturnsTheTextOfAnErrorReply) {
  const auto topology =
      ParseClusterShards("-ERR This instance has cluster support disabled\r\n", kAsked);
  EXPECT_EQ(topology.status().message(), "ERR This instance has cluster support disabled");
}

TEST(ParseClusterShardsTest, RefusesMoreThanAClusterCanHave) {
  std::string many = "[ ";
  for (int i = 0; i < 70000; ++i) many += "{ slots [ ] nodes [ ] } ";
  EXPECT_FALSE(ParseClusterShards(ReplyText(true).Encode(many + "]"), kAsked).ok());
  std::string overlapping = "[ { nodes [ ] slots [ ";
  for (int i = 0; i < 1000; ++i) overlapping += "0 16383 ";
  EXPECT_FALSE(ParseClusterShards(ReplyText(true).Encode(overlapping + "] } ]"), kAsked).ok());
}

TEST(ParseClusterSlotsTest, ReadsOldAndNewNodeLists) {
  const Topology topology = Slots(R"(
    [ [ 0 5460 [ 10.0.0.1 7001 aaa [ hostname a.example availability-zone zone-1 ] ]
               [ 10.0.0.4 7004 ddd [ ] ] ]
      [ 5461 10922 [ 10.0.0.2 7002 bbb ] ]
      [ 10923 16383 [ 10.0.0.3 7003 ] ] ])");
  ASSERT_EQ(topology.nodes().size(), 4u);
  ASSERT_EQ(topology.shards().size(), 3u);
  EXPECT_EQ(topology.slots_covered(), kSlotCount);
  EXPECT_EQ(topology.nodes()[0].hostname, "a.example");
  EXPECT_EQ(topology.nodes()[0].availability_zone, "zone-1");
  EXPECT_EQ(topology.shards()[0].replicas, (std::vector<uint16_t>{1}));
  EXPECT_EQ(PrimaryOf(topology, 2), "10.0.0.3:7003");
}

TEST(ParseClusterSlotsTest, ReadsMetadataAsAMap) {
  const Topology topology = Slots("[ [ 0 1 [ 10.0.0.1 7001 aaa { hostname a.example } ] ] ]", true);
  EXPECT_EQ(topology.nodes()[0].hostname, "a.example");
}

TEST(ParseClusterSlotsTest, JoinsTheRangesOfOnePrimary) {
  const Topology by_id = Slots(R"(
    [ [ 0 10 [ 10.0.0.1 7001 aaa ] [ 10.0.0.2 7002 bbb ] ]
      [ 20 30 [ 10.0.0.1 7001 aaa ] [ 10.0.0.2 7002 bbb ] ] ])");
  EXPECT_EQ(by_id.shards().size(), 1u);
  EXPECT_EQ(by_id.nodes().size(), 2u);
  const Topology by_address = Slots("[ [ 0 10 [ h 1 ] ] [ 20 30 [ h 1 ] ] [ 40 50 [ h 2 ] ] ]");
  EXPECT_EQ(by_address.shards().size(), 2u);
  EXPECT_EQ(by_address.ShardOfSlot(5), by_address.ShardOfSlot(25));
}

TEST(ParseClusterSlotsTest, KnowsEmptyAndUnknownEndpoints) {
  const Topology topology = Slots(R"(
    [ [ 0 10 [ - 7001 aaa ] [ '' 7002 bbb ] ] [ 20 30 [ ? 7003 ccc ] ] [ 40 50 [ ? 7003 ] ] ])");
  EXPECT_EQ(PrimaryOf(topology, 0), "10.9.9.9:7001");
  EXPECT_EQ(topology.nodes().size(), 2u);
  ASSERT_EQ(topology.shards().size(), 3u);
  EXPECT_EQ(PrimaryOf(topology, 1), "none");
  EXPECT_EQ(topology.ShardOfSlot(45), 2);
}

TEST(ParseClusterSlotsTest, RefusesMalformedReplies) {
  for (const std::string_view text :
       {"word", "[ word ]", "[ [ ] ]", "[ [ 0 1 ] ]", "[ [ 0 16384 [ h 1 ] ] ]",
        "[ [ 2 1 [ h 1 ] ] ]", "[ [ a 1 [ h 1 ] ] ]"}) {
    EXPECT_FALSE(ParseClusterSlots(ReplyText(false).Encode(text), kAsked).ok()) << text;
  }
}

TEST(ParseClusterSlotsTest, SeesTheSameClusterAsClusterShards) {
  const Topology shards = Shards(R"(
    [ { slots [ 0 99 200 299 ] nodes [
          { id r port 2 endpoint h role replica health online }
          { id p port 1 endpoint h role master health online } ] } ])");
  const Topology slots = Slots("[ [ 0 99 [ h 1 p ] [ h 2 r ] ] [ 200 299 [ h 1 p ] [ h 2 r ] ] ]");
  EXPECT_TRUE(shards.SameAs(slots));
}

}  // namespace
}  // namespace rcproxy::cluster
