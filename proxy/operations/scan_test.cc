#include "proxy/operations/scan.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/hash_slot.h"
#include "proxy/errors.h"
#include "proxy/operations/operations_for_test.h"
#include "proxy/sim_for_test.h"
#include "resp/value.h"

namespace rcproxy::proxy {
namespace {

using sim::kMillisecond;

// The three nodes answer from these sets of keys by slot, as servers do.
class ScanTest : public testing::Test, public OperationsForTest {
 protected:
  struct Fake {
    NodeForTest& node;
    char name;
    std::map<int, std::set<std::string>> keys;
  };

  void Put(Fake& fake, const std::string& key) { fake.keys[cluster::HashSlot(key)].insert(key); }

  std::string AnswerOf(Fake& fake, const std::vector<resp::Value>& words) {
    const std::string& name = words[0].text;
    if (name == "CLUSTER") {
      const std::set<std::string>& keys = fake.keys[std::atoi(words[2].text.c_str())];
      std::string reply = "*" + std::to_string(keys.size()) + "\r\n";
      for (const std::string& key : keys) reply += Bulk(key);
      return reply;
    }
    if (name == "ASKING") return "+OK\r\n";
    if (name == "TYPE") return words[1].text.starts_with("l") ? "+list\r\n" : "+string\r\n";
    const int slot = cluster::HashSlot(words[1].text);
    if (probe) {
      const std::string answer = probe(fake.name, slot);
      if (!answer.empty()) return answer;
    }
    return ":0\r\n";
  }

  void Play(Fake& fake) {
    std::string input = fake.node.Take();
    std::string_view rest = input;
    resp::ReplyScanner scanner;  // A command is an array of bulk strings.
    while (!rest.empty()) {
      const size_t size = scanner.Scan(rest).consumed;
      const auto value = resp::ParseValue(rest.substr(0, size));
      ASSERT_TRUE(value.ok());
      fake.node.Reply(AnswerOf(fake, value->elements));
      rest.remove_prefix(size);
    }
  }

  // Runs until the client has its reply: the cursor and the keys.
  resp::Value Scan(const std::string& line) {
    Begin(line);
    for (int turn = 0; turn < 1000 && !client.HasOutput(); ++turn) {
      for (Fake& fake : fakes) Play(fake);
      sim.RunFor(kMillisecond);
    }
    return *resp::ParseValue(client.Take());
  }

  std::set<std::string> ScanAll(const std::string& options = "") {
    std::set<std::string> found;
    std::string cursor = "0";
    do {
      const resp::Value page = Scan("SCAN " + cursor + options);
      EXPECT_EQ(page.elements.size(), 2u);
      if (page.elements.size() != 2) return found;
      cursor = page.elements[0].text;
      for (const resp::Value& key : page.elements[1].elements) found.insert(key.text);
      ++pages;
    } while (cursor != "0");
    return found;
  }

  Fake fakes[3] = {{a, 'A', {}}, {b, 'B', {}}, {c, 'C', {}}};
  std::string (*probe)(char node, int slot) = nullptr;
  int pages = 0;
};

TEST_F(ScanTest, FindsEveryKeyOfEveryNode) {
  const std::set<std::string> keys = {"b", "f", "c", "a", "foo"};
  Put(fakes[0], "b");
  Put(fakes[0], "f");
  Put(fakes[1], "c");
  Put(fakes[2], "a");
  Put(fakes[2], "foo");
  EXPECT_EQ(ScanAll(), keys);
  EXPECT_GE(pages, 10) << "a call passes a bounded number of empty slots";
  pages = 0;
  EXPECT_EQ(ScanAll(" COUNT 20000"), keys);
  EXPECT_EQ(pages, 1);
}

TEST_F(ScanTest, APageEndsBehindEnoughKeys) {
  for (int i = 0; i < 3000; ++i) {
    const std::string key = "key:" + std::to_string(i);
    Put(fakes[cluster::HashSlot(key) * 3 / cluster::kSlotCount], key);
  }
  EXPECT_EQ(ScanAll(" COUNT 300").size(), 3000u);
  EXPECT_GE(pages, 5);
  EXPECT_LE(pages, 16);
}

TEST_F(ScanTest, PatternAndType) {
  for (const char* key : {"apple", "Apple", "lemon", "lime"}) {
    Put(fakes[cluster::HashSlot(key) * 3 / cluster::kSlotCount], key);
  }
  EXPECT_EQ(ScanAll(" MATCH a*"), (std::set<std::string>{"apple"}));
  EXPECT_EQ(ScanAll(" TYPE LIST"), (std::set<std::string>{"lemon", "lime"}));
  EXPECT_EQ(ScanAll(" MATCH l?m* TYPE list COUNT 100000"),
            (std::set<std::string>{"lemon", "lime"}));
}

TEST_F(ScanTest, ASlotThatHasMovedIsListedAtItsNewOwner) {
  Put(fakes[1], "b");  // Slot 3300, which the table still gives to A.
  probe = [](char node, int slot) -> std::string {
    return node == 'A' && slot == 3300 ? "-MOVED 3300 10.0.0.2:7000\r\n" : "";
  };
  EXPECT_EQ(ScanAll(), (std::set<std::string>{"b"}));
}

TEST_F(ScanTest, ASlotThatIsMovingIsListedOnBothSides) {
  Put(fakes[0], "{b}1");
  Put(fakes[1], "{b}2");
  probe = [](char node, int slot) -> std::string {
    return node == 'A' && slot == 3300 ? "-ASK 3300 10.0.0.2:7000\r\n" : "";
  };
  EXPECT_EQ(ScanAll(), (std::set<std::string>{"{b}1", "{b}2"}));
}

TEST_F(ScanTest, APageEndsBeforeASlotThatFindsNoRest) {
  static bool is_owner;
  static char owner;
  is_owner = false;
  owner = 'A';
  // The owner changes between any two questions.
  probe = [](char, int slot) -> std::string {
    if (slot != 3300 || std::exchange(is_owner, !is_owner)) return "";
    owner = owner == 'A' ? 'B' : 'A';
    return std::string("-MOVED 3300 ") + (owner == 'A' ? "10.0.0.1:7000" : "10.0.0.2:7000") +
           "\r\n";
  };
  EXPECT_EQ(Scan("SCAN 3299").elements[0].text, "3300");
  EXPECT_EQ(Scan("SCAN 3300").elements[0].text, "3300");
  probe = nullptr;
  EXPECT_NE(Scan("SCAN 3300").elements[0].text, "3300");
}

TEST_F(ScanTest, ErrorsAreTheServers) {
  EXPECT_EQ(Ask("SCAN x"), "-ERR invalid cursor\r\n");
  EXPECT_EQ(Ask("SCAN 0x"), "-ERR invalid cursor\r\n");
  EXPECT_EQ(Ask("SCAN 99999999999999999999"), "-ERR invalid cursor\r\n");
  EXPECT_EQ(Ask("SCAN 0 COUNT 0"), "-ERR syntax error\r\n");
  EXPECT_EQ(Ask("SCAN 0 COUNT x"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(Ask("SCAN 0 NONSENSE 1"), "-ERR syntax error\r\n");
  EXPECT_EQ(Ask("SCAN 0 MATCH"), "-ERR syntax error\r\n");
}

TEST_F(ScanTest, ACursorOfNobodyEndsTheScan) {
  EXPECT_EQ(Ask("SCAN 123456789"), "*2\r\n$1\r\n0\r\n*0\r\n");
  EXPECT_EQ(Ask("SCAN 18446744073709551615"), "*2\r\n$1\r\n0\r\n*0\r\n");
}

TEST_F(ScanTest, AnErrorOfANodeIsTheReply) {
  probe = [](char, int slot) -> std::string { return slot == 5 ? "-NOPERM no\r\n" : ""; };
  EXPECT_EQ(Scan("SCAN 0").text, "NOPERM no");
}

}  // namespace
}  // namespace rcproxy::proxy
