// What nodes refuse of transactions, through a router.
#include <gtest/gtest.h>

#include <string>

#include "cluster/command_table.h"
#include "proxy/request.h"
#include "proxy/router.h"
#include "proxy/router_for_test.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;
using sim::kSecond;

class UpstreamUnitTest : public testing::Test, public RouterForTest {};

// EXECABORT alone would not say why.
TEST_F(UpstreamUnitTest, ATransactionThatIsGivenUpNamesTheReason) {
  const std::string unit = Wire("MULTI") + Wire("GET b") + Wire("GET b") + Wire("EXEC");
  const std::string abort = "-EXECABORT Transaction discarded because of previous errors.\r\n";
  const struct {
    std::string refusal;
    std::string answer;
  } cases[] = {
      {"+QUEUED\r\n" + Ask(3300, 'B'),
       "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"},
      {"-CLUSTERDOWN Hash slot not served\r\n-ERR x\r\n", "-CLUSTERDOWN Hash slot not served\r\n"},
      {"+QUEUED\r\n-NOPERM no\r\n", "-NOPERM no\r\n"},
      {"+QUEUED\r\n-ERR wrong number of arguments\r\n", abort},
  };
  for (const auto& c : cases) {
    router.RouteUnit(&client.replies, cluster::CommandNamed("exec"), unit, 3300, true);
    Settle();
    const int64_t begin_ns = sim.io.NowNs();
    while (!client.HasOutput() && sim.io.NowNs() - begin_ns < 10 * kSecond) {
      if (!a.Take().empty()) Reply(a, "+OK\r\n" + c.refusal + abort);
      sim.RunFor(5 * kMillisecond);
    }
    EXPECT_EQ(client.Take(), c.answer);
  }
}

// Commands behind a MULTI that is refused would be executed one by one.
TEST_F(UpstreamUnitTest, NoTransactionIsSentToANodeThatRefusesMulti) {
  sim.config.upstream_username = "user";
  sim.config.upstream_password = "secret";
  const std::string unit = Wire("MULTI") + Wire("SET b v") + Wire("EXEC");
  const std::string refusal = "-NOPERM this user has no permissions to run the 'multi' command\r\n";
  router.RouteUnit(&client.replies, cluster::CommandNamed("exec"), unit, 3300, false);
  Settle();
  EXPECT_EQ(a.Take(), Wire("AUTH user secret") + Wire("MULTI") + Wire("EXEC"));
  Reply(a, "+OK\r\n" + refusal + "-ERR EXEC without MULTI\r\n");
  EXPECT_EQ(client.Take(), refusal);
  EXPECT_EQ(a.Take(), "");
  SendNow("GET b");
  EXPECT_EQ(a.Take(), Wire("GET b")) << "what is no transaction is served";
  Reply(a, "$-1\r\n");
  client.Take();
  // It is tried again, once a second.
  sim.RunFor(2 * kSecond);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(router.UnitRefusal(3300), refusal);
  EXPECT_EQ(router.UnitRefusal(Request::kNoSlot), refusal);
  Settle();
  EXPECT_EQ(a.Take(), Wire("MULTI") + Wire("EXEC"));
  Reply(a, "+OK\r\n*0\r\n");
  EXPECT_EQ(router.UnitRefusal(3300), "");
  router.RouteUnit(&client.replies, cluster::CommandNamed("exec"), unit, 3300, false);
  Settle();
  EXPECT_EQ(a.Take(), unit);
}

}  // namespace
}  // namespace rcproxy::proxy
