#include "resp/request_scanner.h"

#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "resp/resp_limits.h"
#include "resp/transcript.h"

namespace rcproxy::resp {
namespace {

using std::string_literals::operator""s;

constexpr char kGet[] = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";

std::string Whole(std::string_view stream, const RequestLimits& limits = kDefaultRequestLimits) {
  return RequestTranscript(stream, {}, limits);
}

std::string Command(const std::vector<std::string>& args) {
  std::string bytes = "*" + std::to_string(args.size()) + "\r\n";
  for (const std::string& arg : args) {
    bytes += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
  }
  return bytes;
}

struct Case {
  std::string stream;
  std::string transcript;
};

std::vector<Case> ValidCases() {
  return {
      {kGet, "command 22 [GET] [key]\nrest 0\n"},
      {"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
       "command 14 [PING]\ncommand 14 [PING]\nrest 0\n"},
      {"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "command 20 [ECHO] []\nrest 0\n"},
      {"*1\r\n$0\r\n\r\n", "command 10 []\nrest 0\n"},
      {"*2\r\n$4\r\nECHO\r\n$6\r\n\r\n$1\r\n\r\n", "command 26 [ECHO] [\r\n$1\r\n]\nrest 0\n"},
      {"*1\r\n$3\r\na\0\xff\r\n"s, "command 13 [a\0\xff]\nrest 0\n"s},
      {"*0\r\n*-1\r\n*-99999\r\n*1\r\n$4\r\nPING\r\n",
       "empty 4\nempty 5\nempty 9\ncommand 14 [PING]\nrest 0\n"},
      {"\r\n\n  \t\r\nPING\n", "empty 2\nempty 1\nempty 5\ncommand 5 [PING]\nrest 0\n"},
      {"set k \"a\\x41\\n\" 'b c'\r\n", "command 23 [set] [k] [aA\n] [b c]\nrest 0\n"},
      {"PING\r\n*1\r\n$4\r\nPING\r\nPING\n",
       "command 6 [PING]\ncommand 14 [PING]\ncommand 5 [PING]\nrest 0\n"},
      {"GET a\0b\r\n"s, "command 9 [GET] [a\0b]\nrest 0\n"s},
      // A browser cannot send this form, so it is a command like any other.
      {"*1\r\n$4\r\nPOST\r\n", "command 14 [POST]\nrest 0\n"},
      {"*1\r\n$4\r\nPI", "rest 10\n"},
      {"*1\r\nfoo", "rest 7\n"},
      {"*3", "rest 2\n"},
      {"PING", "rest 4\n"},
  };
}

std::vector<Case> InvalidCases() {
  const std::string prefix = "error -ERR Protocol error: ";
  const std::string count = prefix + "invalid multibulk length\n";
  const std::string bulk = prefix + "invalid bulk length\n";
  return {
      {"*\r\n", count},
      {"*+1\r\n", count},
      {"*01\r\n", count},
      {"*-0\r\n", count},
      {"* 1\r\n", count},
      {"*1 \r\n", count},
      {"*1x\r\n", count},
      {"*\0\r\n"s, count},
      {"*1048577\r\n", count},
      {"*2147483648\r\n", count},
      {"*4294967297\r\n", count},
      {"*9223372036854775808\r\n", count},
      {"*18446744073709551617\r\n", count},
      {"*1\r\n$-1\r\n", bulk},
      {"*1\r\n$-0\r\n", bulk},
      {"*1\r\n$\r\n", bulk},
      {"*1\r\n$03\r\nfoo\r\n", bulk},
      {"*1\r\n$+3\r\nfoo\r\n", bulk},
      {"*1\r\n$3 \r\nfoo\r\n", bulk},
      {"*1\r\n$536870913\r\n", bulk},
      {"*1\r\n$4294967299\r\nfoo\r\n", bulk},
      {"*2\r\n$3\r\nGET\r\n$-5\r\n", bulk},
      {"*1\r\nfoo\r\n", prefix + "expected '$', got 'f'\n"},
      {"*1\r\n:1\r\n", prefix + "expected '$', got ':'\n"},
      {"*1\r\n\r\n", prefix + "expected '$', got ' '\n"},
      {"*1\r\n\n\r\n", prefix + "expected '$', got ' '\n"},
      {"*1\r\n\xff\r\n", prefix + "expected '$', got ' '\n"},
      {"*2\r\n$3\r\nGET\r\nPING\r\n", prefix + "expected '$', got 'P'\n"},
      {"PING\r\n\"a\r\n", "command 6 [PING]\n" + prefix + "unbalanced quotes in request\n"},
      {"'a'b\r\n", prefix + "unbalanced quotes in request\n"},
      {"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "error \n"},
      {"hOsT: example\r\n", "error \n"},
  };
}

TEST(RequestScannerTest, ReadsValidCommands) {
  for (const Case& c : ValidCases()) EXPECT_EQ(Whole(c.stream), c.transcript) << c.stream;
}

TEST(RequestScannerTest, AnswersMalformedCommandsAsTheServerDoes) {
  for (const Case& c : InvalidCases()) EXPECT_EQ(Whole(c.stream), c.transcript) << c.stream;
}

TEST(RequestScannerTest, EveryCutGivesTheSame) {
  std::vector<Case> cases = ValidCases();
  for (Case& c : InvalidCases()) cases.push_back(std::move(c));
  std::string mixed;
  for (const Case& c : ValidCases()) {
    if (c.transcript.find("rest 0") != std::string::npos) mixed += c.stream;
  }
  cases.push_back({mixed, Whole(mixed)});
  for (const Case& c : cases) {
    const size_t size = c.stream.size();
    EXPECT_EQ(RequestTranscript(c.stream, CutEverywhere(size), kDefaultRequestLimits),
              c.transcript);
    for (size_t i = 0; i <= size; ++i) {
      EXPECT_EQ(RequestTranscript(c.stream, {i}, kDefaultRequestLimits), c.transcript) << i;
      if (size > 60) continue;
      for (size_t j = i; j <= size; ++j) {
        ASSERT_EQ(RequestTranscript(c.stream, {i, j}, kDefaultRequestLimits), c.transcript);
      }
    }
  }
}

TEST(RequestScannerTest, RandomCommandsAtRandomCuts) {
  constexpr uint32_t kSeed = 20240607;
  SCOPED_TRACE(kSeed);
  std::mt19937 random(kSeed);
  for (int round = 0; round < 300; ++round) {
    std::string stream;
    for (int n = static_cast<int>(random() % 5); n >= 0; --n) {
      std::vector<std::string> args(1 + random() % (round % 20 == 0 ? 300 : 12));
      for (std::string& arg : args) arg.assign(random() % (random() % 8 == 0 ? 5000 : 30), 'x');
      stream += Command(args);
    }
    const std::string whole = Whole(stream);
    EXPECT_EQ(whole.substr(whole.size() - 7), "rest 0\n");
    Cuts cuts;
    for (size_t at = random() % 40; at < stream.size(); at += random() % 2000) cuts.push_back(at);
    ASSERT_EQ(RequestTranscript(stream, cuts, kDefaultRequestLimits), whole) << round;
  }
}

// The server does not look at these bytes; a node behind us must not see them.
TEST(RequestScannerTest, MalformedLineEndsAreRewritten) {
  const std::string stream = "*2\rX$3\rYGETab$3\r\nkeycd";
  EXPECT_EQ(Whole(stream), "command 22 [GET] [key]\nrest 0\n");
  EXPECT_EQ(RequestTranscript(stream, CutEverywhere(stream.size()), kDefaultRequestLimits),
            Whole(stream));
  RequestScanner scanner;
  ASSERT_EQ(scanner.Scan(stream, kDefaultRequestLimits), ScanStatus::kCommand);
  EXPECT_EQ(scanner.command().bytes(), kGet);
  scanner.Reset();
  ASSERT_EQ(scanner.Scan(kGet, kDefaultRequestLimits), ScanStatus::kCommand);
  EXPECT_EQ(scanner.command().bytes().data(), static_cast<const char*>(kGet));
}

TEST(RequestScannerTest, LimitsLengthLinesAndInlineCommands) {
  const std::string ones(kInlineBytesMax, '1');
  const std::string tail = "1";
  struct Long {
    std::string allowed;  // One byte more is not.
    std::string text;
  };
  for (const Long& c : {Long{"*" + ones.substr(1), "too big mbulk count string"},
                        Long{"*1\r\n$" + ones.substr(1), "too big bulk count string"},
                        Long{ones, "too big inline request"}}) {
    EXPECT_EQ(Whole(c.allowed), "rest " + std::to_string(c.allowed.size()) + "\n");
    const std::string error = "error -ERR Protocol error: " + c.text + "\n";
    EXPECT_EQ(Whole(c.allowed + "1"), error);
    EXPECT_EQ(RequestTranscript(c.allowed + "1111\r\n", {c.allowed.size()}, kDefaultRequestLimits),
              error);
    EXPECT_EQ(Whole(c.allowed + "1\r\n"), error);
  }
}

TEST(RequestScannerTest, UnauthenticatedLimitsHaveTheirOwnTexts) {
  const RequestLimits& limits = kUnauthenticatedRequestLimits;
  const std::string prefix = "error -ERR Protocol error: ";
  EXPECT_EQ(Whole("*10\r\n", limits), "rest 5\n");
  EXPECT_EQ(Whole("*11\r\n", limits), prefix + "unauthenticated multibulk length\n");
  EXPECT_EQ(Whole("*1048577\r\n", limits), prefix + "invalid multibulk length\n");
  EXPECT_EQ(Whole("*1\r\n$16384\r\n", limits), "rest 12\n");
  EXPECT_EQ(Whole("*1\r\n$16385\r\n", limits), prefix + "unauthenticated bulk length\n");
  EXPECT_EQ(Whole("*1\r\n$536870913\r\n", limits), prefix + "invalid bulk length\n");
  EXPECT_EQ(Whole(Command({"AUTH", "user", "password"}), limits),
            "command 38 [AUTH] [user] [password]\nrest 0\n");
}

TEST(RequestScannerTest, ConfiguredLimitsHoldAtTheirEdge) {
  const RequestLimits limits = {3, 100, 64, 60};
  EXPECT_EQ(Whole("*4\r\n", limits), "error -ERR Protocol error: invalid multibulk length\n");
  EXPECT_EQ(Whole("*1\r\n$101\r\n", limits), "error -ERR Protocol error: invalid bulk length\n");
  const std::string fits = Command({std::string(49, 'x')});
  ASSERT_EQ(fits.size(), 60u);
  const std::string exceeds = Command({std::string(50, 'x')});
  const RequestLimits wide = {2000, 1000, 64, 60};  // The same with the short lengths' fast path.
  for (const RequestLimits& l : {limits, wide}) {
    EXPECT_EQ(Whole(fits, l).substr(0, 10), "command 60");
    EXPECT_EQ(Whole(exceeds, l), "error -ERR Protocol error: too big request\n");
    EXPECT_EQ(RequestTranscript(exceeds, CutEverywhere(exceeds.size()), l), Whole(exceeds, l));
  }
  RequestLimits large = kDefaultRequestLimits;
  large.args_max = UINT32_MAX;
  large.bulk_bytes_max = UINT32_MAX;
  large.command_bytes_max = UINT32_MAX;
  EXPECT_EQ(Whole("*4294967295\r\n$4294967000\r\n", large), "rest 26\n");
  EXPECT_EQ(Whole("*4294967295\r\n$4294967295\r\n", large),
            "error -ERR Protocol error: too big request\n");
  EXPECT_EQ(Whole("*4294967296\r\n", large),
            "error -ERR Protocol error: invalid multibulk length\n");
}

TEST(RequestScannerTest, SizeHintTellsAnAnnouncedPayload) {
  RequestScanner scanner;
  EXPECT_EQ(scanner.Scan("*2\r\n$3\r\nSET\r\n$100000\r\nabc", kDefaultRequestLimits),
            ScanStatus::kNeedMore);
  EXPECT_EQ(scanner.size_hint(), 13 + 9 + 100000 + 2u);
}

TEST(RequestScannerTest, ManyArgumentsAndReuse) {
  RequestScanner scanner;
  for (size_t n : {1, 63, 64, 65, 999, 1000, 100000, 5}) {
    const std::string stream = Command(std::vector<std::string>(n, "v")) + kGet;
    ASSERT_EQ(scanner.Scan(stream, kDefaultRequestLimits), ScanStatus::kCommand);
    EXPECT_EQ(scanner.command().size(), n);
    EXPECT_EQ(scanner.command()[n - 1], "v");
    EXPECT_EQ(scanner.consumed(), stream.size() - sizeof(kGet) + 1);
    scanner.Reset();
    ASSERT_EQ(scanner.Scan(kGet, kDefaultRequestLimits), ScanStatus::kCommand);
    EXPECT_EQ(scanner.command()[1], "key");
    scanner.Reset();
  }
}

TEST(RequestScannerTest, MovedStateGoesOnElsewhere) {
  const std::string stream = kGet;
  RequestScanner scratch;
  ASSERT_EQ(scratch.Scan(stream.substr(0, 15), kDefaultRequestLimits), ScanStatus::kNeedMore);
  RequestScanner client(std::move(scratch));
  ASSERT_EQ(scratch.Scan("PING\r\n", kDefaultRequestLimits), ScanStatus::kCommand);
  EXPECT_EQ(scratch.command()[0], "PING");
  ASSERT_EQ(client.Scan(stream, kDefaultRequestLimits), ScanStatus::kCommand);
  EXPECT_EQ(client.command()[1], "key");
  EXPECT_LE(sizeof(RequestScanner), 136u);
}

}  // namespace
}  // namespace rcproxy::resp
