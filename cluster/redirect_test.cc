#include "cluster/redirect.h"

#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

struct Case {
  std::string_view line;
  ErrorKind kind;
  uint16_t slot;
  std::string_view host;
  uint16_t port;
};

TEST(ParseErrorReplyTest, ReadsRedirects) {
  const std::vector<Case> cases = {
      {"-MOVED 3999 127.0.0.1:6381", ErrorKind::kMoved, 3999, "127.0.0.1", 6381},
      {"-MOVED 3999 127.0.0.1:6381\r\n", ErrorKind::kMoved, 3999, "127.0.0.1", 6381},
      {"-ASK 0 10.0.0.1:7000\r\n", ErrorKind::kAsk, 0, "10.0.0.1", 7000},
      {"-MOVED 16383 h:65535", ErrorKind::kMoved, 16383, "h", 65535},
      {"-MOVED 1 2001:db8::1:6379", ErrorKind::kMoved, 1, "2001:db8::1", 6379},
      {"-MOVED 1 ::1:6379", ErrorKind::kMoved, 1, "::1", 6379},
      {"-MOVED 1 [::1]:6379", ErrorKind::kMoved, 1, "::1", 6379},
      {"-MOVED 1 fe80::1%eth0:6379", ErrorKind::kMoved, 1, "fe80::1%eth0", 6379},
      {"-ASK 1 node-1.redis.example:6379", ErrorKind::kAsk, 1, "node-1.redis.example", 6379},
      {"-MOVED 1 :6379", ErrorKind::kMoved, 1, "", 6379},
      {"-MOVED 1 ?:6379", ErrorKind::kMoved, 1, "", 0},
      {"-ASK 1 ?:6379", ErrorKind::kAsk, 1, "", 0},
      {"-MOVED 1 h:0", ErrorKind::kMoved, 1, "h", 0},
      {"-MOVED 1 h:6379 and more", ErrorKind::kMoved, 1, "h", 6379},
  };
  for (const Case& expected : cases) {
    SCOPED_TRACE(expected.line);
    const Redirect redirect = ParseErrorReply(expected.line);
    EXPECT_EQ(redirect.kind, expected.kind);
    EXPECT_EQ(redirect.slot, expected.slot);
    EXPECT_EQ(redirect.host, expected.host);
    EXPECT_EQ(redirect.port, expected.port);
  }
}

TEST(ParseErrorReplyTest, TakesMalformedRedirectsForOrdinaryErrors) {
  const std::string long_host = "-MOVED 1 " + std::string(256, 'h') + ":6379";
  for (const std::string_view line : {std::string_view("-MOVED"),
                                      std::string_view("-MOVED "),
                                      std::string_view("-MOVED 1"),
                                      std::string_view("-MOVED 1 "),
                                      std::string_view("-MOVED  1 h:6379"),
                                      std::string_view("-MOVED x h:6379"),
                                      std::string_view("-MOVED 16384 h:6379"),
                                      std::string_view("-MOVED -1 h:6379"),
                                      std::string_view("-MOVED 99999999999 h:1"),
                                      std::string_view("-MOVED 1 h"),
                                      std::string_view("-MOVED 1 h:"),
                                      std::string_view("-MOVED 1 h:x"),
                                      std::string_view("-MOVED 1 h:65536"),
                                      std::string_view("-MOVED 1 h:-1"),
                                      std::string_view("-MOVED 1 h:6379x"),
                                      std::string_view("-MOVED 1 h\tx:6379"),
                                      std::string_view("-MOVED 1 h\r\nx:6379"),
                                      std::string_view("-MOVED 1 h\0x:6379", 18),
                                      std::string_view(long_host),
                                      std::string_view("-MOVEDX 1 h:6379"),
                                      std::string_view("-moved 1 h:6379"),
                                      std::string_view("MOVED 1 h:6379"),
                                      std::string_view("+MOVED 1 h:6379"),
                                      std::string_view("- MOVED 1 h:6379"),
                                      std::string_view("-"),
                                      std::string_view("")}) {
    EXPECT_EQ(ParseErrorReply(line).kind, ErrorKind::kOther) << line;
    EXPECT_EQ(ParseErrorReply(line).port, 0) << line;
  }
}

TEST(ParseErrorReplyTest, KnowsTheOtherErrorsOfACluster) {
  EXPECT_EQ(ParseErrorReply("-TRYAGAIN Multiple keys request during rehashing of slot\r\n").kind,
            ErrorKind::kTryAgain);
  EXPECT_EQ(ParseErrorReply("-CLUSTERDOWN The cluster is down").kind, ErrorKind::kClusterDown);
  EXPECT_EQ(ParseErrorReply("-CLUSTERDOWN Hash slot not served").kind, ErrorKind::kClusterDown);
  EXPECT_EQ(ParseErrorReply("-LOADING Redis is loading the dataset in memory").kind,
            ErrorKind::kLoading);
  EXPECT_EQ(ParseErrorReply("-MASTERDOWN Link with MASTER is down").kind, ErrorKind::kMasterDown);
  EXPECT_EQ(ParseErrorReply("-READONLY You can't write against a read only replica.").kind,
            ErrorKind::kReadOnly);
  EXPECT_EQ(ParseErrorReply("-READONLY\r\n").kind, ErrorKind::kReadOnly);
  EXPECT_EQ(ParseErrorReply("-NOSCRIPT No matching script.").kind, ErrorKind::kNoScript);
  EXPECT_EQ(ParseErrorReply("-ERR Function not found\r\n").kind, ErrorKind::kNoFunction);
  EXPECT_EQ(ParseErrorReply("-ERR Function not found, they say").kind, ErrorKind::kOther);
}

TEST(ParseErrorReplyTest, LeavesEverythingElseToTheClient) {
  for (const std::string_view line :
       {"-ERR unknown command", "-WRONGTYPE Operation against a key", "-NOSCRIPTX",
        "-ERR MOVED 1 h:6379", "-ASKING 1 h:1", "-LOADINGX", "-READONLYX no"}) {
    EXPECT_EQ(ParseErrorReply(line).kind, ErrorKind::kOther) << line;
  }
}

}  // namespace
}  // namespace rcproxy::cluster
