#include "proxy/flag_file.h"

#include <gflags/gflags.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "proxy/loopback_for_test.h"

DEFINE_string(word_for_test, "", "A flag with a value");
DEFINE_bool(switch_for_test, false, "A flag without");

namespace rcproxy::proxy {
namespace {

class FlagFileTest : public testing::Test {
 protected:
  // Writes the file and looks through it.
  std::string Error(const std::string& text, const std::string& name = "flags") {
    std::ofstream(Path(name)) << text;
    const absl::Status status = CheckFlagFile(Path(name));
    return std::string(status.message());
  }
  std::string Path(const std::string& name) const { return directory_.File(name); }

  TemporaryDirectory directory_;
};

TEST_F(FlagFileTest, FlagsCommentsAndEmptyLinesAreUnderstood) {
  EXPECT_EQ(Error("# comment\n\n  --word_for_test=a b=c\n-word_for_test=\n--switch_for_test\n"
                  "--noswitch_for_test\n--switch_for_test=false\n--word-for-test=x\r\n"),
            "");
  EXPECT_EQ(Error(""), "");
}

TEST_F(FlagFileTest, WhatIsNoneIsNamedWithoutItsValue) {
  const struct {
    const char* line;
    const char* error;
  } cases[] = {
      {"--wrd_for_test=secret", "unknown flag --wrd_for_test; see --help"},
      {"word_for_test=secret", "not a flag; flags begin with --"},
      {"--word_for_test secret",
       "the value of --word_for_test comes after \"=\": --word_for_test=VALUE"},
      {"--wrd_for_test secret", "unknown flag --wrd_for_test; see --help"},
      {"--word_for_test", "--word_for_test needs a value: --word_for_test=VALUE"},
      {"--noword_for_test", "unknown flag --noword_for_test; see --help"},
      {"--", "unknown flag --; see --help"},
      {"-", "unknown flag --; see --help"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Error(std::string("# first\n--switch_for_test\n") + c.line + "\n"),
              "--flagfile=" + Path("flags") + " line 3: " + c.error);
  }
}

TEST_F(FlagFileTest, FilesMayNameFilesButNotInACircle) {
  Error("--wrong=1\n", "inner");
  EXPECT_EQ(Error("--flagfile=" + Path("inner") + "\n"),
            "--flagfile=" + Path("inner") + " line 1: unknown flag --wrong; see --help");
  EXPECT_EQ(Error("--flagfile=" + Path("flags") + "\n"),
            "--flagfile=" + Path("flags") + ": files name one another in a circle");
}

TEST_F(FlagFileTest, TheCommandLineNamesThem) {
  Error("--wrong=1\n", "bad");
  Error("\n", "good");
  const std::string bad = Path("bad");
  const std::string both = "--flagfile=" + Path("good") + "," + bad;
  const std::vector<std::vector<const char*>> wrong = {{"rcproxy", "--flagfile", bad.c_str()},
                                                       {"rcproxy", "-x", both.c_str()}};
  for (const auto& arguments : wrong) EXPECT_FALSE(CheckFlagFiles(arguments).ok());
  const std::string good = "-flagfile=" + Path("good");
  const std::vector<std::vector<const char*>> right = {
      {"rcproxy"}, {"rcproxy", good.c_str()}, {"rcproxy", "--", both.c_str()}};
  for (const auto& arguments : right) EXPECT_TRUE(CheckFlagFiles(arguments).ok());
  const std::vector<const char*> missing = {"rcproxy", "--flagfile=/no/such/file"};
  EXPECT_EQ(CheckFlagFiles(missing).message(),
            "cannot read --flagfile=/no/such/file: No such file or directory");
}

}  // namespace
}  // namespace rcproxy::proxy
