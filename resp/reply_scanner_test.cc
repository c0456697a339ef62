#include "resp/reply_scanner.h"

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "resp/resp_limits.h"
#include "resp/transcript.h"

namespace rcproxy::resp {
namespace {

// Each is one frame.
const std::string_view kFrames[] = {
    "+OK\r\n",
    "+\r\n",
    "+PONG\r\n",
    "+a\rb\nc\r\r\n",
    "-ERR no such key\r\n",
    ":0\r\n",
    ":12\r\n",
    ":999\r\n",
    ":1000\r\n",
    ":-1\r\n",
    ":+7\r\n",
    ":9223372036854775807\r\n",
    ":-9223372036854775808\r\n",
    "$0\r\n\r\n",
    "$3\r\nfoo\r\n",
    "$10\r\n\r\n$3\r\nfoo\r\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "*0\r\n",
    "*2\r\n$3\r\nfoo\r\n:1\r\n",
    "*3\r\n*2\r\n:1\r\n*0\r\n$-1\r\n*1\r\n*1\r\n+OK\r\n",
    "_\r\n",
    "#t\r\n",
    "#f\r\n",
    ",3.14\r\n",
    ",-inf\r\n",
    "(3492890328409238509324850943850943825024385\r\n",
    "!21\r\nSYNTAX invalid syntax\r\n",
    "=15\r\ntxt:Some string\r\n",
    "%0\r\n",
    "%2\r\n+first\r\n:1\r\n+second\r\n*1\r\n:2\r\n",
    "~2\r\n+orange\r\n#t\r\n",
    ">3\r\n+message\r\n+channel\r\n$2\r\nhi\r\n",
    "|1\r\n+ttl\r\n:3600\r\n$3\r\nfoo\r\n",
    "|0\r\n+OK\r\n",
    "|1\r\n+a\r\n|1\r\n+b\r\n:1\r\n:2\r\n:3\r\n",
    "*3\r\n:1\r\n|1\r\n+popularity\r\n,0.19\r\n:2\r\n:3\r\n",
    "$?\r\n;4\r\nHell\r\n;5\r\no wor\r\n;0\r\n",
    "$?\r\n;0\r\n",
    "*?\r\n:1\r\n*?\r\n.\r\n$?\r\n;1\r\na\r\n;0\r\n.\r\n",
    "%?\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n.\r\n",
    "~?\r\n.\r\n",
    "|?\r\n+a\r\n:1\r\n.\r\n+OK\r\n",
    "*2\r\n$?\r\n;0\r\n*?\r\n.\r\n",
};

// Each is refused, at the latest at its last byte.
const std::string_view kMalformed[] = {
    "x",
    "\r\n",
    "OK\r\n",
    ".\r\n",
    ";1\r\n",
    ":\r\n",
    ":a\r\n",
    ":1a\r\n",
    ":1\rx",
    ":--1\r\n",
    ":9223372036854775808\r\n",
    ":-9223372036854775809\r\n",
    ":?\r\n",
    ":12345678901234567890\r\n",
    "$\r\n",
    "$-2\r\n",
    "$-\r\n",
    "$+1\r\n",
    "$1-\r\n",
    "$?1\r\n",
    "$4294967296\r\n",
    "$99999999999999999999\r\n",
    "$3\r\nfooxx",
    "$3\r\nfoo\rx",
    "$0\r\nx",
    "$?\r\n+",
    "$?\r\n;-1\r\n",
    "$?\r\n;?\r\n",
    "$?\r\n;1\r\nab",
    "=?\r\n",
    "=-1\r\n",
    "!-1\r\n",
    "*-2\r\n",
    "~-0\r\n",
    "*+1\r\n",
    "*4294967296\r\n",
    "*1\r\nx",
    "*1\r\n.",
    "%-1\r\n",
    "~-1\r\n",
    ">-1\r\n",
    ">?\r\n",
    "|-1\r\n",
    "%?\r\n+a\r\n.",
    "|?\r\n+a\r\n.",
    "*?\r\n|0\r\n.",
    "*?\r\n|1\r\n+a\r\n:1\r\n.",
    "*?\r\n.x",
    "#x",
    "#tx",
    "_x",
};

std::string Nested(int depth) {
  std::string reply;
  for (int i = 0; i < depth; ++i) reply += "*1\r\n";
  return reply + ":1\r\n";
}

TEST(ReplyScannerTest, FindsTheEndOfEachType) {
  for (std::string_view frame : kFrames) {
    ReplyScanner scanner;
    const ReplyScanner::Result result = scanner.Scan(frame);
    EXPECT_EQ(result.status, ReplyScanner::Status::kFrame) << frame << scanner.error();
    EXPECT_EQ(result.consumed, frame.size()) << frame;
    EXPECT_TRUE(frame[0] == '|' || scanner.type() == frame[0]) << frame;
    EXPECT_FALSE(scanner.InsideFrame());
  }
}

// No prefix of a frame is a frame, and every cut of it gives the same.
TEST(ReplyScannerTest, EveryCutGivesTheSame) {
  std::string all;
  for (std::string_view frame : kFrames) {
    all += frame;
    const std::string whole = ReplyTranscript(frame, {});
    EXPECT_EQ(ReplyTranscript(frame, CutEverywhere(frame.size())), whole) << frame;
    for (size_t i = 1; i < frame.size(); ++i) {
      EXPECT_EQ(ReplyTranscript(frame.substr(0, i), {}), "inside\n") << frame << i;
      for (size_t j = i; j <= frame.size(); ++j) {
        ASSERT_EQ(ReplyTranscript(frame, {i, j}), whole) << frame << i << " " << j;
      }
    }
  }
  const std::string whole = ReplyTranscript(all, {});
  EXPECT_EQ(ReplyTranscript(all, CutEverywhere(all.size())), whole);
  for (size_t i = 0; i <= all.size(); ++i) ASSERT_EQ(ReplyTranscript(all, {i}), whole) << i;
}

TEST(ReplyScannerTest, RandomSequencesAtRandomCuts) {
  constexpr uint32_t kSeed = 20240608;
  SCOPED_TRACE(kSeed);
  std::mt19937 random(kSeed);
  for (int round = 0; round < 500; ++round) {
    std::string stream;
    for (int i = 0; i < 20; ++i) stream += kFrames[random() % std::size(kFrames)];
    const std::string payload(random() % 100000, 'p');
    stream += "$" + std::to_string(payload.size()) + "\r\n" + payload + "\r\n";
    Cuts cuts;
    for (size_t at = random() % 9; at < stream.size(); at += random() % 200) cuts.push_back(at);
    ASSERT_EQ(ReplyTranscript(stream, cuts), ReplyTranscript(stream, {})) << round;
  }
}

TEST(ReplyScannerTest, RefusesMalformedReplies) {
  for (std::string_view reply : kMalformed) {
    ReplyScanner scanner;
    EXPECT_EQ(scanner.Scan(reply).status, ReplyScanner::Status::kError) << reply;
    EXPECT_FALSE(scanner.error().empty());
    EXPECT_EQ(ReplyTranscript(reply, CutEverywhere(reply.size())), ReplyTranscript(reply, {}));
    scanner.Reset();
    EXPECT_EQ(scanner.Scan("+OK\r\n").status, ReplyScanner::Status::kFrame);
  }
}

TEST(ReplyScannerTest, TypeIsKnownFromTheFirstByteOn) {
  ReplyScanner scanner;
  EXPECT_EQ(scanner.type(), '\0');
  scanner.Scan("|1\r\n+a\r\n:1");
  EXPECT_EQ(scanner.type(), '\0');
  EXPECT_TRUE(scanner.InsideFrame());
  scanner.Scan("\r\n");
  EXPECT_EQ(scanner.type(), '\0');
  scanner.Scan("*");
  EXPECT_EQ(scanner.type(), '*');
  EXPECT_EQ(scanner.Scan("2\r\n:1\r\n+x\r\n").status, ReplyScanner::Status::kFrame);
  EXPECT_EQ(scanner.type(), '*');
  scanner.Scan("|");
  EXPECT_EQ(scanner.type(), '\0');
}

TEST(ReplyScannerTest, LimitsDepth) {
  EXPECT_EQ(ReplyTranscript(Nested(kReplyDepthMax), {}).substr(0, 7), "frame *");
  EXPECT_EQ(ReplyTranscript(Nested(kReplyDepthMax + 1), {}).substr(0, 5), "error");
}

TEST(ReplyScannerTest, LargePayloadsAreSkippedWithoutBeingHeld) {
  ReplyScanner scanner;
  const std::string block(1 << 20, 'x');
  EXPECT_EQ(scanner.Scan("$536870912\r\n").status, ReplyScanner::Status::kNeedMore);
  for (int i = 0; i < 512; ++i) {
    ASSERT_EQ(scanner.Scan(block).status, ReplyScanner::Status::kNeedMore);
  }
  EXPECT_EQ(scanner.Scan("\r\n+OK").consumed, 2u);
}

TEST(ReplyScannerTest, EmptyInputChangesNothing) {
  ReplyScanner scanner;
  EXPECT_EQ(scanner.Scan("").status, ReplyScanner::Status::kNeedMore);
  EXPECT_FALSE(scanner.InsideFrame());
}

TEST(AggregateHeaderTest, ReadsHeaders) {
  struct Case {
    std::string_view reply;
    char type;
    int64_t count;
    size_t header_bytes;
  };
  for (const Case& c : {
           Case{"*2\r\n:1\r\n:2\r\n", '*', 2, 4},
           Case{"*0\r\n", '*', 0, 4},
           Case{"%1\r\n+a\r\n:1\r\n", '%', 1, 4},
           Case{"~1\r\n:1\r\n", '~', 1, 4},
           Case{">1\r\n:1\r\n", '>', 1, 4},
           Case{"|1\r\n+a\r\n*1\r\n:1\r\n*1\r\n:7\r\n", '*', 1, 20},
           Case{"*?\r\n:1\r\n*1\r\n:1\r\n.\r\n", '*', 2, 4},
           Case{"%?\r\n+a\r\n:1\r\n.\r\n", '%', 1, 4},
       }) {
    const AggregateHeader header = ParseAggregateHeader(c.reply);
    EXPECT_EQ(header.type, c.type) << c.reply;
    EXPECT_EQ(header.count, c.count) << c.reply;
    EXPECT_EQ(header.header_bytes, c.header_bytes) << c.reply;
  }
  for (std::string_view reply : {"", "*", "*-1\r\n", "_\r\n", "$1\r\nx\r\n", "-ERR\r\n", ":1\r\n",
                                 "|1\r\n", "|1\r\n+a\r\n:1\r\n", "*?\r\n:1\r\n", "*x\r\n"}) {
    EXPECT_EQ(ParseAggregateHeader(reply).count, -1) << reply;
  }
}

TEST(IntegerReplyTest, ReadsIntegersOnly) {
  int64_t value = 0;
  EXPECT_TRUE(ParseIntegerReply(":12\r\n", &value));
  EXPECT_EQ(value, 12);
  EXPECT_TRUE(ParseIntegerReply(":-5\r\n", &value));
  EXPECT_EQ(value, -5);
  for (std::string_view reply : {"", ":", ":\r\n", ":1", ":1\r", ":1\n\n", "+1\r\n", ":x\r\n",
                                 ":1\r\n:2\r\n", "$1\r\n1\r\n", "-ERR\r\n"}) {
    EXPECT_FALSE(ParseIntegerReply(reply, &value)) << reply;
  }
}

}  // namespace
}  // namespace rcproxy::resp
