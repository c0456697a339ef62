// NOSCRIPT is healed where the body is known and the order allows it.
#include <gtest/gtest.h>

#include <string>

#include "cluster/command_table.h"
#include "proxy/router.h"
#include "proxy/router_for_test.h"
#include "proxy/script_cache.h"

namespace rcproxy::proxy {
namespace {

constexpr std::string_view kNoScript = "-NOSCRIPT No matching script. Please use EVAL.\r\n";
constexpr std::string_view kNoFunction = "-ERR Function not found\r\n";
const std::string kBody = "return 1";
const std::string kDigest = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

class RouterScriptTest : public testing::Test, public RouterForTest {
 protected:
  RouterScriptTest() { OpenAll(); }
  ~RouterScriptTest() override { ScriptCache::ForgetAll(); }

  void See(const std::vector<std::string>& words) {
    const cluster::CommandForTest command(words);
    const cluster::CommandSpec* spec = cluster::FindCommand(words[0]);
    if (!spec->subcommands.empty()) spec = cluster::FindSubcommand(*spec, words[1]);
    ASSERT_TRUE(spec->Has(cluster::kFlagScriptBody));
    router.NoteScript(*spec, command.view());
  }
  std::string Call(const std::string& key) { return "EVALSHA " + kDigest + " 1 " + key; }
  const std::string load_ = Multibulk({"SCRIPT", "LOAD", kBody});
};

TEST_F(RouterScriptTest, AKnownScriptIsLoadedAndCalledAgain) {
  See({"EVAL", kBody, "0"});
  SendNow(Call("b"));
  EXPECT_EQ(a.Take(), Wire(Call("b")));
  Reply(a, kNoScript);
  EXPECT_EQ(a.Take(), load_ + Wire(Call("b")));
  Reply(a, Bulk(kDigest) + ":1\r\n");
  EXPECT_EQ(client.Take(), ":1\r\n");
}

TEST_F(RouterScriptTest, TheBodyMayComeFromScriptLoad) {
  See({"SCRIPT", "LOAD", kBody});
  SendNow(Call("b"));
  a.Take();
  Reply(a, kNoScript);
  EXPECT_EQ(a.Take(), load_ + Wire(Call("b")));
}

TEST_F(RouterScriptTest, ANodeThatHasJustJoinedMayGetTheFunctionYet) {
  NodeForTest d(sim.network, AddressOf('D').ToString());
  SendNow("FCALL f 1 b");
  const int refreshes = topology.requests;
  Reply(a, Moved(3300, 'D'));
  EXPECT_EQ(d.Take(), Wire("FCALL f 1 b"));
  Reply(d, kNoFunction);
  EXPECT_GT(topology.requests, refreshes);
  sim.RunFor(100 * sim::kMillisecond);
  EXPECT_EQ(d.Take(), Wire("FCALL f 1 b"));
  Reply(d, ":1\r\n");
  EXPECT_EQ(client.Take(), ":1\r\n");
}

TEST_F(RouterScriptTest, AFunctionThatAKnownNodeDoesNotKnowIsAnError) {
  SendNow("FCALL f 1 b");
  Reply(a, kNoFunction);
  EXPECT_EQ(client.Take(), kNoFunction);
}

TEST_F(RouterScriptTest, WhereNobodyIsGivenFunctionsNobodyWaitsForThem) {
  sim.config.function_bytes_max = 0;
  NodeForTest d(sim.network, AddressOf('D').ToString());
  SendNow("FCALL f 1 b");
  Reply(a, Moved(3300, 'D'));
  Reply(d, kNoFunction);
  EXPECT_EQ(client.Take(), kNoFunction);
}

TEST_F(RouterScriptTest, AnUnknownScriptIsAnError) {
  SendNow(Call("b"));
  Reply(a, kNoScript);
  EXPECT_EQ(client.Take(), kNoScript);
  See({"EVAL", kBody, "0"});
  See({"SCRIPT", "FLUSH"});
  SendNow(Call("b"));
  Reply(a, kNoScript);
  EXPECT_EQ(client.Take(), kNoScript);
}

TEST_F(RouterScriptTest, ItIsTriedOnce) {
  See({"EVAL", kBody, "0"});
  SendNow(Call("b"));
  Reply(a, kNoScript);
  Reply(a, "-OOM no room\r\n" + std::string(kNoScript));
  EXPECT_EQ(client.Take(), kNoScript);
}

TEST_F(RouterScriptTest, ACallDoesNotChangePlacesWithAYoungerCommand) {
  See({"EVAL", kBody, "0"});
  Send(Call("b"));
  Send("SET b 1");
  Settle();
  a.Take();
  Reply(a, kNoScript);
  EXPECT_EQ(client.Take(), kNoScript);
  EXPECT_EQ(a.Take(), load_) << "for the next call";
  Reply(a, "+OK\r\n" + Bulk(kDigest));
  EXPECT_EQ(client.Take(), "+OK\r\n");
}

TEST_F(RouterScriptTest, AYoungerCommandForAnotherKeyIsNoObstacle) {
  See({"EVAL", kBody, "0"});
  Send(Call("b"));
  Send("SET f 1");
  Send("SET c 1");
  Settle();
  a.Take();
  Reply(a, kNoScript);
  EXPECT_EQ(a.Take(), load_ + Wire(Call("b")));
  Reply(b, "+OK\r\n");
  Reply(a, "+OK\r\n" + Bulk(kDigest) + ":1\r\n");
  EXPECT_EQ(client.Take(), ":1\r\n+OK\r\n+OK\r\n");
}

TEST_F(RouterScriptTest, OtherCommandsAreNotRepeated) {
  See({"EVAL", kBody, "0"});
  SendNow("GET b");
  a.Take();
  Reply(a, kNoScript);
  EXPECT_EQ(client.Take(), kNoScript);
  EXPECT_EQ(a.Take(), "");
}

}  // namespace
}  // namespace rcproxy::proxy
