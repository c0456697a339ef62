#include "resp/writer.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace rcproxy::resp {
namespace {

TEST(WriterTest, WritesWhatTheSizesSay) {
  for (size_t n : {0, 1, 9, 10, 99, 100, 999, 1000, 65536}) {
    const std::string text(n, 'x');
    std::string out(BulkBytes(n), '?');
    EXPECT_EQ(WriteBulk(out.data(), text), out.size());
    EXPECT_EQ(out, "$" + std::to_string(n) + "\r\n" + text + "\r\n");
    std::string header(HeaderBytes(n), '?');
    EXPECT_EQ(WriteArrayHeader(header.data(), n), header.size());
    EXPECT_EQ(header, "*" + std::to_string(n) + "\r\n");
  }
}

TEST(WriterTest, WritesEveryInteger) {
  for (int64_t n : {int64_t{0}, int64_t{-1}, int64_t{10}, INT64_MAX, INT64_MIN}) {
    char out[kHeaderBytesMax];
    const size_t size = WriteInteger(out, n);
    ASSERT_LE(size, sizeof(out));
    EXPECT_EQ(std::string_view(out, size), ":" + std::to_string(n) + "\r\n");
  }
}

TEST(WriterTest, AppendsReplies) {
  std::string out;
  AppendSimple(&out, "OK");
  AppendBulk(&out, std::string_view("a\0\r\n", 4));
  AppendInteger(&out, -5);
  AppendArrayHeader(&out, 2);
  EXPECT_EQ(out, std::string("+OK\r\n$4\r\na\0\r\n\r\n:-5\r\n*2\r\n", 24));
}

TEST(WriterTest, AppendsTheFormOfTheProtocol) {
  std::string resp2;
  AppendMapHeader(&resp2, Protocol::kResp2, 3);
  AppendSetHeader(&resp2, Protocol::kResp2, 3);
  AppendPushHeader(&resp2, Protocol::kResp2, 3);
  AppendNull(&resp2, Protocol::kResp2);
  AppendNullArray(&resp2, Protocol::kResp2);
  EXPECT_EQ(resp2, "*6\r\n*3\r\n*3\r\n$-1\r\n*-1\r\n");
  std::string resp3;
  AppendMapHeader(&resp3, Protocol::kResp3, 3);
  AppendSetHeader(&resp3, Protocol::kResp3, 3);
  AppendPushHeader(&resp3, Protocol::kResp3, 3);
  AppendNull(&resp3, Protocol::kResp3);
  AppendNullArray(&resp3, Protocol::kResp3);
  EXPECT_EQ(resp3, "%3\r\n~3\r\n>3\r\n_\r\n_\r\n");
}

// A command name sent by a client is quoted in error texts: it must not be able to add a reply.
TEST(WriterTest, ErrorTextCannotInjectAReply) {
  std::string out;
  AppendError(&out, "ERR unknown command 'x'\r\n+OK\r\n'");
  EXPECT_EQ(out, "-ERR unknown command 'x'  +OK  '\r\n");
}

}  // namespace
}  // namespace rcproxy::resp
