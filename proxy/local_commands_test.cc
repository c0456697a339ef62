#include "proxy/local_commands.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "cluster/command_table.h"
#include "proxy/local_commands_for_test.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

using cluster::CommandSpec;

TEST(LocalCommandsTest, ReplacesWhatStoodInTheReply) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("PING"), "+PONG\r\n");
}

TEST(LocalCommandsTest, WhatIsNotThereYetSaysSo) {
  LocalCommandsForTest local;
  EXPECT_EQ(local.Ask("CONFIG REWRITE"),
            "-ERR CONFIG REWRITE is not available through rcproxy: send it to the node itself\r\n");
}

// The shortest command that the arity of `spec` allows.
std::vector<std::string> ShortestCommand(const CommandSpec& spec) {
  const std::string name(spec.name);
  const size_t bar = name.find('|');
  std::vector<std::string> words = {name.substr(0, bar)};
  if (bar != std::string::npos) words.push_back(name.substr(bar + 1));
  while (words.size() < static_cast<size_t>(std::abs(spec.arity))) words.push_back("x");
  return words;
}

// Every local command of the table gives exactly one well-formed reply, with the fewest arguments
// and with more.
void AskAll(LocalCommandsForTest& local, std::span<const CommandSpec> specs, int* asked) {
  for (const CommandSpec& spec : specs) {
    AskAll(local, spec.subcommands, asked);
    if (spec.route != cluster::Route::kLocal) continue;
    std::vector<std::string> words = ShortestCommand(spec);
    for (int more = 0; more < (spec.arity < 0 ? 4 : 1); ++more, words.push_back("y")) {
      const std::string reply = local.AskWords(words);
      EXPECT_TRUE(resp::ParseValue(reply).ok()) << spec.name << ": " << reply.substr(0, 200);
      ++*asked;
    }
  }
}

TEST(LocalCommandsTest, EveryLocalCommandGivesOneReply) {
  LocalCommandsForTest local;
  int asked = 0;
  AskAll(local, cluster::AllCommands(), &asked);
  EXPECT_GT(asked, 100);
}

}  // namespace
}  // namespace rcproxy::proxy
