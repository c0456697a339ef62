#include "benchmarks/fake_node.h"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace rcproxy::benchmarks {
namespace {

constexpr size_t kValueBytes = 5;

// Gives `input` to a session in pieces and returns what it answers.
std::string Exchange(std::string_view input, size_t piece_bytes) {
  FakeCluster cluster({7001, 7002}, kValueBytes);
  FakeNodeSession session(&cluster);
  std::string output;
  while (!input.empty()) {
    std::span<char> space = session.ReceiveSpace();
    std::string_view piece = input.substr(0, std::min(piece_bytes, space.size()));
    std::copy(piece.begin(), piece.end(), space.begin());
    EXPECT_TRUE(session.Received(piece.size(), &output));
    input.remove_prefix(piece.size());
  }
  return output;
}

TEST(FakeNodeTest, AnyCutOfTheStreamGivesTheSameAnswers) {
  std::string input = EncodeSet(7, kValueBytes) + EncodeGet(8) + "*1\r\n$4\r\nping\r\n" +
                      EncodeSet(9, kValueBytes) + "*2\r\n$3\r\nGET\r\n$5\r\nother\r\n";
  std::string expected = "+OK\r\n$5\r\nxxxxx\r\n+PONG\r\n+OK\r\n$5\r\nxxxxx\r\n";
  for (size_t piece = 1; piece <= input.size(); ++piece) {
    EXPECT_EQ(Exchange(input, piece), expected) << "pieces of " << piece;
  }
}

TEST(FakeNodeTest, AValueOfAnotherSizeIsStillOneCommand) {
  EXPECT_EQ(Exchange(EncodeSet(1, 900) + EncodeSet(2, 3), 64), "+OK\r\n+OK\r\n");
}

TEST(FakeNodeTest, DescribesAllSlotsInEveryForm) {
  std::string slots = Exchange("*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n", 100);
  EXPECT_EQ(slots.substr(0, 40), "*2\r\n*3\r\n:0\r\n:8191\r\n*4\r\n$9\r\n127.0.0.1\r\n:7");
  EXPECT_NE(slots.find(":8192\r\n:16383\r\n"), std::string::npos);
  std::string shards = Exchange("*2\r\n$7\r\nCLUSTER\r\n$6\r\nSHARDS\r\n", 100);
  EXPECT_NE(shards.find("$5\r\nslots\r\n*2\r\n:8192\r\n:16383\r\n"), std::string::npos);
  EXPECT_NE(shards.find("$4\r\nport\r\n:7002\r\n"), std::string::npos);
  std::string nodes = Exchange("*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n", 100);
  EXPECT_NE(nodes.find(" connected 8192-16383\n"), std::string::npos);
}

TEST(FakeNodeTest, AnswersAHandshake) {
  EXPECT_EQ(Exchange("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", 100).substr(0, 4), "%4\r\n");
  EXPECT_EQ(Exchange("*1\r\n$8\r\nREADONLY\r\n", 100), "+OK\r\n");
  EXPECT_EQ(Exchange("*1\r\n$5\r\nPSYNC\r\n", 100), "-ERR unknown command 'PSYNC'\r\n");
  EXPECT_EQ(Exchange("*3\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n", 100),
            "*2\r\n$5\r\nxxxxx\r\n$5\r\nxxxxx\r\n");
}

TEST(FakeNodeTest, RefusesWhatIsNoCommand) {
  FakeCluster cluster({7001}, kValueBytes);
  FakeNodeSession session(&cluster);
  std::string_view input = "*1\r\n+PING\r\n";
  std::copy(input.begin(), input.end(), session.ReceiveSpace().begin());
  std::string output;
  EXPECT_FALSE(session.Received(input.size(), &output));
}

TEST(FakeNodeTest, MakesRoomForACommandLargerThanTheBuffer) {
  EXPECT_EQ(Exchange(EncodeSet(1, 1 << 20), 100'000), "+OK\r\n");
}

}  // namespace
}  // namespace rcproxy::benchmarks
