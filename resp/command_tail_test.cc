#include "resp/command_tail.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace rcproxy::resp {
namespace {

constexpr uint64_t kPlenty = 1 << 20;

// All cuts of `input` into two pieces and into single bytes agree; returns what was taken.
std::string TakeAll(uint64_t payload, uint32_t arguments, std::string_view input, bool* done,
                    std::string* error, uint64_t bytes_left = kPlenty) {
  CommandTail whole(payload, arguments, 1000, bytes_left);
  const size_t taken = whole.Take(input);
  *done = whole.done();
  *error = whole.error();
  for (size_t cut = 0; cut <= input.size(); ++cut) {
    CommandTail tail(payload, arguments, 1000, bytes_left);
    size_t sum = tail.Take(input.substr(0, cut));
    if (sum == cut) sum += tail.Take(input.substr(cut));
    EXPECT_EQ(sum, taken) << cut;
    EXPECT_EQ(tail.done(), whole.done()) << cut;
    EXPECT_EQ(tail.error(), whole.error()) << cut;
  }
  CommandTail bytewise(payload, arguments, 1000, bytes_left);
  size_t sum = 0;
  while (sum < input.size() && bytewise.Take(input.substr(sum, 1)) == 1) ++sum;
  EXPECT_EQ(sum, taken);
  EXPECT_EQ(bytewise.done(), whole.done());
  return std::string(input.substr(0, taken));
}

TEST(CommandTailTest, EndsBehindTheLastPayload) {
  bool done = false;
  std::string error;
  EXPECT_EQ(TakeAll(3, 0, "abc\r\n*1\r\n", &done, &error), "abc\r\n");
  EXPECT_TRUE(done);
  EXPECT_EQ(TakeAll(3, 2, "abc\r\n$2\r\nEX\r\n$1\r\n9\r\nPING\r\n", &done, &error),
            "abc\r\n$2\r\nEX\r\n$1\r\n9\r\n");
  EXPECT_TRUE(done);
}

TEST(CommandTailTest, WaitsForMore) {
  bool done = true;
  std::string error;
  EXPECT_EQ(TakeAll(5, 1, "abcde\r\n$3\r\nx\r", &done, &error), "abcde\r\n$3\r\nx\r");
  EXPECT_FALSE(done);
  EXPECT_EQ(error, "");
}

TEST(CommandTailTest, PayloadsMayHoldAnything) {
  bool done = false;
  std::string error;
  const std::string input("\r\n$9\r\n\r\n$0\r\n\r\n", 14);
  EXPECT_EQ(TakeAll(6, 1, input, &done, &error), input);
  EXPECT_TRUE(done);
}

TEST(CommandTailTest, RefusesWhatTheServerRefuses) {
  bool done = true;
  std::string error;
  TakeAll(1, 1, "a\r\n:3\r\n", &done, &error);
  EXPECT_FALSE(done);
  EXPECT_EQ(error, "-ERR Protocol error: expected '$'");
  for (const char* length : {"$", "$-1", "$1001", "$1x", "$ 1", "$99999999999999999999"}) {
    TakeAll(1, 1, "a\r\n" + std::string(length) + "\r\n", &done, &error);
    EXPECT_EQ(error, "-ERR Protocol error: invalid bulk length") << length;
  }
  TakeAll(1, 1, "a\r\n$" + std::string(40, '0') + "\r\n", &done, &error);
  EXPECT_EQ(error, "-ERR Protocol error: invalid bulk length");
  TakeAll(1, 1, "a\r\n$90\r\n", &done, &error, /*bytes_left=*/92);
  EXPECT_EQ(error, "-ERR Protocol error: too big request");
  TakeAll(1, 1, "a\r\n$90\r\n", &done, &error, /*bytes_left=*/93);
  EXPECT_EQ(error, "");
}

}  // namespace
}  // namespace rcproxy::resp
