#include "proxy/upload.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/errors.h"
#include "resp/resp_limits.h"

namespace rcproxy::proxy {
namespace {

UploadCandidate CandidateIn(std::string_view arrived) {
  resp::RequestScanner scanner;
  EXPECT_EQ(scanner.Scan(arrived, resp::kDefaultRequestLimits), resp::ScanStatus::kNeedMore);
  return FindUploadCandidate(scanner, arrived);
}

TEST(UploadTest, AWriteWithOneKeyBeforeTheArgument) {
  const UploadCandidate set = CandidateIn("*3\r\n$3\r\nsEt\r\n$3\r\nkey\r\n$9999\r\nxyz");
  ASSERT_NE(set.spec, nullptr);
  EXPECT_EQ(set.spec->name, "set");
  EXPECT_EQ(set.key, "key");
  EXPECT_NE(CandidateIn("*4\r\n$4\r\nHSET\r\n$1\r\nh\r\n$1\r\nf\r\n$9999\r\n").spec, nullptr);
  EXPECT_NE(CandidateIn("*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$9999\r\n").spec, nullptr);
}

TEST(UploadTest, NothingElse) {
  EXPECT_EQ(CandidateIn("*3\r\n$3\r\nSET\r\n$9999\r\n").spec, nullptr);  // The key itself.
  EXPECT_EQ(CandidateIn("*3\r\n$9999\r\nSET").spec, nullptr);
  EXPECT_EQ(CandidateIn("*3\r\n$6\r\nNOSUCH\r\n$1\r\nk\r\n$9999\r\n").spec, nullptr);
  EXPECT_EQ(CandidateIn("*2\r\n$4\r\nECHO\r\n$9999\r\n").spec, nullptr);
  EXPECT_EQ(CandidateIn("*3\r\n$6\r\nAPPEND\r\n$1\r\n").spec, nullptr);  // No argument is open.
  EXPECT_EQ(CandidateIn("*4\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$9999\r\n").spec, nullptr);  // Arity.
  EXPECT_EQ(CandidateIn("*3\r\n$4\r\nMSET\r\n$1\r\nk\r\n$9999\r\n").spec, nullptr);
  EXPECT_EQ(CandidateIn("*4\r\n$4\r\nEVAL\r\n$1\r\nx\r\n$1\r\n0\r\n$9999\r\n").spec, nullptr);
  EXPECT_EQ(CandidateIn("*3\r\n$6\r\nGETBIT\r\n$1\r\nk\r\n$9999\r\n").spec, nullptr);  // A read.
}

TEST(UploadTest, TheOperationNeverGivesARedirectToTheClient) {
  const auto answer_to = [](std::string_view reply) {
    const std::unique_ptr<Operation> operation = MakeUploadOperation(7, "*3\r\n$3\r\nSET\r\n");
    Round first;
    operation->Next({}, &first);
    EXPECT_EQ(first.questions().size(), 1u);
    EXPECT_TRUE(first.questions()[0].uploads);
    EXPECT_EQ(first.questions()[0].slot, 7);
    Round second;
    operation->Next({&reply, 1}, &second);
    EXPECT_TRUE(second.finished());
    return second.reply();
  };
  EXPECT_EQ(answer_to("+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(answer_to("-WRONGTYPE x\r\n"), "-WRONGTYPE x\r\n");
  for (const char* redirect : {"-MOVED 7 127.0.0.1:7000\r\n", "-ASK 7 127.0.0.1:7000\r\n",
                               "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"}) {
    EXPECT_EQ(answer_to(redirect), kErrorUploadMoved);
  }
}

}  // namespace
}  // namespace rcproxy::proxy
