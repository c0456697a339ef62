// Clients that speak RESP3: their requests have connections of their own, so that every reply has
// the shape that a node gives it.
#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/errors.h"
#include "proxy/operation.h"
#include "proxy/request.h"
#include "proxy/router.h"
#include "proxy/router_for_test.h"

namespace rcproxy::proxy {
namespace {

using Verdict = Router::Verdict;

constexpr char kHello3[] = "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n";
constexpr char kHelloReply[] = "%1\r\n$5\r\nproto\r\n:3\r\n";

class RouterResp3Test : public testing::Test, public RouterForTest {
 protected:
  RouterResp3Test() { client.replies.SetNeeds(LinkNeeds{.resp3 = true}); }

  // `node` hears HELLO 3, and answers it; then it has the command.
  void Greet(NodeForTest& node) {
    ASSERT_EQ(node.Take(), kHello3);
    Reply(node, kHelloReply);
  }
};

TEST_F(RouterResp3Test, ARequestGoesOutBehindHello3AndItsReplyIsNotTouched) {
  SendNow("SMEMBERS b");
  Greet(a);
  EXPECT_TRUE(sim.resources.resp3_known);
  EXPECT_EQ(a.Take(), Wire("SMEMBERS b"));
  Reply(a, "~2\r\n$1\r\nx\r\n$1\r\ny\r\n");
  EXPECT_EQ(client.Take(), "~2\r\n$1\r\nx\r\n$1\r\ny\r\n");
}

TEST_F(RouterResp3Test, ClientsOfBothProtocolsUseDifferentConnections) {
  ClientForTest old{sim.resources};
  Send(&old, "GET b");
  Settle();
  EXPECT_EQ(a.Take(), Wire("GET b"));
  SendNow("GET b");
  EXPECT_EQ(a.connections(), 2u);
  Greet(a);
  EXPECT_EQ(a.Take(), Wire("GET b"));
  a.peer(0).Write("$-1\r\n");
  a.peer(1).Write("_\r\n");
  Settle();
  EXPECT_EQ(old.Take(), "$-1\r\n");
  EXPECT_EQ(client.Take(), "_\r\n");
}

TEST_F(RouterResp3Test, UserAndPasswordAreInTheGreeting) {
  sim.config.upstream_password = "pw";
  SendNow("GET b");
  EXPECT_EQ(a.Take(), Wire("HELLO 3 AUTH default pw"));
  sim.config.upstream_username = "me";
  SendNow("GET c");
  EXPECT_EQ(b.Take(), Wire("HELLO 3 AUTH me pw") + Wire("MULTI") + Wire("EXEC"));
}

TEST_F(RouterResp3Test, PushesBelongToNobody) {
  SendNow("GET b");
  Greet(a);
  Reply(a, ">2\r\n$10\r\ninvalidate\r\n_\r\n$1\r\nv\r\n");
  EXPECT_EQ(client.Take(), "$1\r\nv\r\n");
}

TEST_F(RouterResp3Test, PartsAndTheirNullsAreMerged) {
  SendNow("MGET b c a");
  for (NodeForTest* node : {&a, &b, &c}) Greet(*node);
  Reply(a, "*1\r\n_\r\n");
  Reply(b, "*1\r\n$1\r\n2\r\n");
  Reply(c, "*1\r\n_\r\n");
  EXPECT_EQ(client.Take(), "*3\r\n_\r\n$1\r\n2\r\n_\r\n");
}

TEST_F(RouterResp3Test, RedirectsStayInTheProtocol) {
  SendNow("GET b");
  Greet(a);
  Reply(a, Ask(3300, 'B'));
  Greet(b);
  EXPECT_EQ(b.Take(), Wire("ASKING") + Wire("GET b"));
  Reply(b, "+OK\r\n" + Moved(3300, 'C'));
  Greet(c);
  EXPECT_EQ(c.Take(), Wire("GET b"));
  Reply(c, "_\r\n");
  EXPECT_EQ(client.Take(), "_\r\n");
}

TEST_F(RouterResp3Test, ANodeWithoutResp3IsRefusedAndNotLeftAlone) {
  SendNow("GET b");
  SendNow("MGET b f");
  EXPECT_EQ(a.Take(), kHello3);
  Reply(a, "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n");
  const std::string refused(kErrorNoProto);
  EXPECT_EQ(client.Take(), refused + refused);
  EXPECT_FALSE(sim.resources.resp3_known);
  ClientForTest old{sim.resources};
  Send(&old, "GET b");
  Settle();
  EXPECT_EQ(a.Take(), Wire("GET b")) << "the node is well";
  Reply(a, "$1\r\nv\r\n");
  EXPECT_EQ(old.Take(), "$1\r\nv\r\n");
}

TEST_F(RouterResp3Test, AnotherErrorToTheGreetingIsAFailureOfTheNode) {
  SendNow("GET b");
  Reply(a, "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  EXPECT_TRUE(table.NodeAt(AddressOf('A'))->InBackoff());
  EXPECT_FALSE(client.HasOutput());
}

class Probe final : public Operation {
 public:
  void Next(std::span<const std::string_view> answers, Round* round) override {
    if (answers.empty()) return round->AskAnyPrimaryInResp3(Wire("PING"));
    round->Finish(std::string(answers[0]));
  }
};

TEST_F(RouterResp3Test, AnOperationMayAskInResp3ForAnyClient) {
  ClientForTest old{sim.resources};
  const cluster::CommandSpec* spec = cluster::FindCommand("hello");
  EXPECT_EQ(router.Start(&old.replies, *spec, std::make_unique<Probe>()), Verdict::kTaken);
  Settle();
  for (NodeForTest* node : {&a, &b, &c}) {
    if (!node->HasInput()) continue;
    Greet(*node);
    Reply(*node, "+PONG\r\n");
  }
  EXPECT_EQ(old.Take(), "+PONG\r\n");
}

TEST_F(RouterResp3Test, AReadGoesToAReplicaWhenTheClientPrefersThem) {
  cluster::Topology map = ThreeShards();
  cluster::Node replica = NodeNamed('B', false);
  table.Adopt(cluster::Topology({NodeNamed('A', true), replica}, {{0, {1}}}, {{0, 16383, 0}}));
  client.replies.SetNeeds(LinkNeeds{.resp3 = true, .prefers_replica = true});
  SendNow("GET b");
  EXPECT_EQ(b.Take(), std::string(kHello3) + Wire("READONLY"));
  Reply(b, std::string(kHelloReply) + "+OK\r\n");
  EXPECT_EQ(b.Take(), Wire("GET b"));
  Reply(b, "_\r\n");
  SendNow("SET b x");
  Greet(a);
  EXPECT_EQ(a.Take(), Wire("SET b x"));
  Reply(a, "+OK\r\n");
  client.replies.SetNeeds(LinkNeeds{.resp3 = true});
  SendNow("GET b");
  EXPECT_EQ(a.Take(), Wire("GET b"));
  Reply(a, "_\r\n");
  EXPECT_EQ(client.Take(), "_\r\n+OK\r\n_\r\n");
}

// ---- CLIENT REPLY

TEST_F(RouterResp3Test, MutedRequestsKeepTheirPlaceAndLoseTheirReplies) {
  SendNow("GET b");
  Greet(a);
  client.replies.SetMode(ReplyMode::kOff);
  SendNow("SET f x");
  SendNow("MSET b 1 c 2");
  SendNow("LRANGE f 0 -1");
  Greet(b);
  client.replies.Reply("-hidden\r\n");
  client.replies.SetMode(ReplyMode::kOn);
  SendNow("GET f");
  Reply(b, "+OK\r\n");
  Reply(a, "$1\r\n1\r\n+OK\r\n+OK\r\n*100000\r\n$1\r\n");
  std::string rest = "x\r\n";
  for (int i = 1; i < 100'000; ++i) rest += "$1\r\nx\r\n";
  Reply(a, rest);
  Reply(a, "$1\r\nx\r\n");
  EXPECT_EQ(client.Take(), "$1\r\n1\r\n$1\r\nx\r\n");
  EXPECT_TRUE(client.replies.empty());
}

TEST_F(RouterResp3Test, SkipHidesOneReply) {
  client.replies.SetMode(ReplyMode::kSkipNext);
  SendNow("GET b");
  SendNow("GET f");
  Greet(a);
  Reply(a, "$1\r\n1\r\n$1\r\n2\r\n");
  EXPECT_EQ(client.Take(), "$1\r\n2\r\n");
  client.replies.SetMode(ReplyMode::kSkipNext);
  client.replies.Reply("+hidden\r\n");
  client.replies.Reply("+shown\r\n");
  EXPECT_EQ(client.Take(), "+shown\r\n");
}

TEST_F(RouterResp3Test, AMutedRequestFollowsRedirects) {
  client.replies.SetMode(ReplyMode::kOff);
  SendNow("SET b x");
  Greet(a);
  const std::string moved = Moved(3300, 'B');
  Reply(a, moved.substr(0, 10));
  Reply(a, moved.substr(10));
  Greet(b);
  EXPECT_EQ(b.Take(), Wire("SET b x"));
  Reply(b, "+OK\r\n");
  EXPECT_TRUE(client.replies.empty());
  EXPECT_FALSE(client.HasOutput());
}

}  // namespace
}  // namespace rcproxy::proxy
