#include "proxy/operations/proxy_commands.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/errors.h"
#include "proxy/operations/operations_for_test.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

class ProxyCommandsTest : public testing::Test, public OperationsForTest {};

TEST_F(ProxyCommandsTest, ACommandForOneNodeByItsAddress) {
  Begin("PROXY NODE 10.0.0.2:7000 CONFIG GET maxmemory");
  EXPECT_EQ(b.Take(), Wire("CONFIG GET maxmemory"));
  Reply(b, "*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n");
  EXPECT_EQ(client.Take(), "*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n");
}

TEST_F(ProxyCommandsTest, ANodeByTheBeginningOfItsId) {
  Begin("PROXY NODE bbbb DBSIZE");
  const std::string shards =
      "*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n*8\r\n$2\r\nid\r\n" +
      Bulk(std::string(40, 'b')) +
      "$4\r\nport\r\n:7000\r\n$8\r\nendpoint\r\n$8\r\n10.0.0.2\r\n$4\r\nrole\r\n$6\r\nmaster\r\n";
  for (NodeForTest* node : {&a, &b, &c}) {
    if (node->HasInput()) {
      EXPECT_EQ(node->Take(), Wire("CLUSTER SHARDS"));
      Reply(*node, shards);
      break;
    }
  }
  EXPECT_EQ(b.Take(), Wire("DBSIZE"));
  Reply(b, ":7\r\n");
  EXPECT_EQ(client.Take(), ":7\r\n");
}

TEST_F(ProxyCommandsTest, OnlyNodesOfTheMapAreReached) {
  OpenAll();
  Begin("PROXY NODE 127.0.0.1:22 PING");
  EXPECT_TRUE(client.Take().starts_with("-ERR"));
  Begin("PROXY NODE 127.0.0.1:22 DBSIZE");
  for (NodeForTest* node : {&a, &b, &c}) {
    if (node->HasInput()) Reply(*node, "*0\r\n");
  }
  EXPECT_EQ(client.Take(), "-ERR no node of the cluster has this id or address\r\n");
}

TEST_F(ProxyCommandsTest, WhatWouldSpoilASharedConnectionIsRefused) {
  for (const char* command : {"MULTI", "SUBSCRIBE x", "BLPOP a 0", "CLIENT REPLY OFF", "HELLO 3",
                              "MONITOR", "SELECT 1", "WAIT 1 0", "PROXY REFRESH", "RESET"}) {
    const std::string reply = Ask(std::string("PROXY NODE 10.0.0.1:7000 ") + command);
    EXPECT_TRUE(reply.starts_with("-ERR ")) << command << ": " << reply;
  }
  EXPECT_EQ(Ask("PROXY NODE 10.0.0.1:7000 GET"),
            "-ERR wrong number of arguments for 'get' command\r\n");
  EXPECT_EQ(a.Take(), "");
}

TEST_F(ProxyCommandsTest, ACommandForEveryNode) {
  Begin("PROXY NODES DBSIZE");
  Reply(a, ":1\r\n");
  Reply(b, "-NOPERM no\r\n");
  Reply(c, ":3\r\n");
  EXPECT_EQ(client.Take(),
            "*6\r\n$13\r\n10.0.0.1:7000\r\n:1\r\n$13\r\n10.0.0.2:7000\r\n"
            "-NOPERM no\r\n$13\r\n10.0.0.3:7000\r\n:3\r\n");
}

TEST_F(ProxyCommandsTest, TheMap) {
  const auto value = resp::ParseValue(Ask("PROXY TOPOLOGY"));
  ASSERT_TRUE(value.ok());
  ASSERT_EQ(value->elements.size(), 3u);
  EXPECT_EQ(value->elements[1].elements[0].integer, 5461);
  EXPECT_EQ(value->elements[1].elements[1].integer, 10922);
  EXPECT_EQ(value->elements[1].elements[2].text, "10.0.0.2:7000");
}

TEST_F(ProxyCommandsTest, TheMapIsReadSoon) {
  EXPECT_EQ(Ask("PROXY REFRESH"), "+OK\r\n");
  EXPECT_EQ(topology.learning_requests, 1);
  EXPECT_EQ(topology.requests, 1);
}

TEST_F(ProxyCommandsTest, UnknownCommandsAreNotExplained) {
  EXPECT_TRUE(Ask("PROXY EXPLAIN NOSUCH x").starts_with("-ERR unknown command 'NOSUCH'"));
}

}  // namespace
}  // namespace rcproxy::proxy
