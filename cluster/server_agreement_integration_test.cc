// What we know about commands and slots, compared with what a live server says. Fails on drift:
// after an update of the server, commands.tsv or overrides.tsv has to say who is right.
#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_errors.h"
#include "cluster/command_for_test.h"
#include "cluster/command_keys.h"
#include "cluster/command_report_for_test.h"
#include "cluster/command_report_parser.h"
#include "cluster/command_table.h"
#include "cluster/hash_slot.h"
#include "cluster/learnt_commands.h"
#include "cluster/live_server_for_test.h"
#include "gtest/gtest.h"

namespace rcproxy::cluster {
namespace {

constexpr uint32_t kSeed = 20240917;

class ServerAgreementTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new LiveServerForTest;
    if (!server_->Start()) {
      delete server_;
      server_ = nullptr;
    }
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << "no redis-server to compare with";
  }

  static Reply Ask(const std::vector<std::string>& words) { return server_->Ask(words); }

  static LiveServerForTest* server_;
};

LiveServerForTest* ServerAgreementTest::server_ = nullptr;

std::string TextOf(const redisReply* reply) { return std::string(reply->str, reply->len); }

const CommandSpec* FindRow(std::string_view name) {
  const size_t bar = name.find('|');
  const CommandSpec* spec = FindCommand(name.substr(0, bar));
  if (spec == nullptr || bar == std::string_view::npos) return spec;
  return FindSubcommand(*spec, name.substr(bar + 1));
}

// Which subcommand, if any, the words belong to; as the router does it.
const CommandSpec* SpecOf(const std::vector<std::string>& words) {
  const CommandSpec* spec = FindCommand(words[0]);
  if (spec == nullptr || spec->subcommands.empty() || words.size() < 2) return spec;
  return FindSubcommand(*spec, words[1]);
}

std::string Join(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (word.empty() ? "''" : word) + " ";
  return line;
}

// Our answer to COMMAND GETKEYS: the keys, or nothing when there are none or we refuse.
std::optional<std::vector<std::string>> OurKeys(const std::vector<std::string>& words) {
  const CommandSpec* spec = SpecOf(words);
  if (spec == nullptr || !spec->ArityOk(words.size())) return std::nullopt;
  const CommandForTest command(words);
  const KeyRuns found = FindKeys(*spec, command.view());
  if (found.status != KeysStatus::kOk) return std::nullopt;
  std::vector<std::string> keys;
  for (int run = 0; run < found.size; ++run) {
    if (found.runs[run].is_channel) continue;
    for (uint32_t i = 0; i < found.runs[run].count; ++i) {
      keys.push_back(words.at(found.runs[run].first + i * found.runs[run].step));
    }
  }
  std::sort(keys.begin(), keys.end());
  if (keys.empty()) return std::nullopt;
  return keys;
}

std::optional<std::vector<std::string>> ServerKeys(LiveServerForTest* server,
                                                   const std::vector<std::string>& words) {
  std::vector<std::string> question = {"COMMAND", "GETKEYS"};
  question.insert(question.end(), words.begin(), words.end());
  const Reply reply = server->Ask(question);
  if (reply->type != REDIS_REPLY_ARRAY) return std::nullopt;
  std::vector<std::string> keys;
  for (size_t i = 0; i < reply->elements; ++i) keys.push_back(TextOf(reply->element[i]));
  std::sort(keys.begin(), keys.end());
  if (keys.empty()) return std::nullopt;
  return keys;
}

// Where the newer servers' arity was taken, see overrides.tsv.
const std::set<std::string>& ArityOfNewer() {
  static const auto* const names =
      new std::set<std::string>{"zrank", "zrevrank", "command|getkeys", "command|getkeysandflags"};
  return *names;
}

// PFMERGE with a destination alone: the server finds no key and runs it on whichever node it
// reaches. We send it to the destination's owner.
bool WeKnowBetter(const std::vector<std::string>& words) {
  if (ArityOfNewer().contains(words[0])) return true;
  return words.size() == 2 && FindCommand(words[0]) == FindCommand("PFMERGE");
}

// What the server says of malformed forms of these depends on its hand-written parsers and not on
// its key specs. Such a command is an error wherever it goes; well-formed ones are among the
// written examples.
bool IsOddWhenMalformed(const std::vector<std::string>& words) {
  return words[0] == "migrate" || words[0] == "xread" || words[0] == "xreadgroup";
}

// Option-heavy commands, written by hand.
constexpr std::string_view kLines[] = {
#include "cluster/key_examples_for_test.inc"
};

TEST_F(ServerAgreementTest, OnTheKeysOfWrittenExamples) {
  for (const std::string_view line : kLines) {
    const std::vector<std::string> words = Words(line);
    EXPECT_EQ(OurKeys(words), ServerKeys(server_, words)) << line;
  }
}

// The shortest and some longer forms of a command, with arguments that are all different.
std::vector<std::vector<std::string>> SimpleForms(const CommandSpec& spec) {
  const size_t bar = spec.name.find('|');
  std::vector<std::string> start = {std::string(spec.name.substr(0, bar))};
  if (bar != std::string_view::npos) start.emplace_back(spec.name.substr(bar + 1));
  const size_t least = static_cast<size_t>(spec.arity < 0 ? -spec.arity : spec.arity);
  std::vector<std::vector<std::string>> forms;
  for (size_t size = least; size <= least + (spec.arity < 0 ? 6 : 0); ++size) {
    std::vector<std::string> words = start;
    while (words.size() < size) words.push_back("arg" + std::to_string(words.size()));
    for (const KeySpec& keys : spec.keys) {
      if (keys.find == KeySpec::Find::kKeyNum) {
        const size_t at = static_cast<size_t>(keys.index + keys.keynum_index);
        const size_t room = size - at - 1;
        words[at] = std::to_string(room / static_cast<size_t>(keys.step));
      } else if (keys.begin == KeySpec::Begin::kKeyword && keys.index > 0) {
        if (static_cast<size_t>(keys.index) < size) words[keys.index] = keys.keyword;
      }
    }
    forms.push_back(words);
  }
  return forms;
}

TEST_F(ServerAgreementTest, OnTheKeysOfEveryCommandThatTheServerKnows) {
  const Reply list = Ask({"COMMAND", "LIST"});
  ASSERT_EQ(list->type, REDIS_REPLY_ARRAY);
  int compared = 0;
  const auto compare = [&](const CommandSpec& spec) {
    for (const std::vector<std::string>& words : SimpleForms(spec)) {
      if (WeKnowBetter(words)) continue;
      EXPECT_EQ(OurKeys(words), ServerKeys(server_, words)) << Join(words);
      ++compared;
    }
  };
  for (size_t i = 0; i < list->elements; ++i) {  // Subcommands are listed like commands.
    const CommandSpec* spec = FindRow(TextOf(list->element[i]));
    ASSERT_NE(spec, nullptr) << TextOf(list->element[i]);
    compare(*spec);
  }
  EXPECT_GT(compared, 500);
}

TEST_F(ServerAgreementTest, OnTheKeysOfRandomCommands) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937 random(kSeed);
  const std::vector<std::string> pool = {
      "STREAMS", "KEYS", "store", "STOREDIST", "BY", "GET", "LIMIT", "0",  "1",  "2",  "3",  "-1",
      "AUTH",    "copy", "BLOCK", "COUNT",     "x",  "",    "01",    "1 ", "+1", "k1", "k2", "k3"};
  const Reply list = Ask({"COMMAND", "LIST"});
  std::vector<const CommandSpec*> specs;
  for (size_t i = 0; i < list->elements; ++i) {
    const CommandSpec* spec = FindCommand(TextOf(list->element[i]));
    if (spec != nullptr && !spec->keys.empty()) specs.push_back(spec);
  }
  // The server lists them in an order of its own, another one each time.
  std::sort(specs.begin(), specs.end(),
            [](const CommandSpec* a, const CommandSpec* b) { return a->name < b->name; });
  for (int round = 0; round < 20000; ++round) {
    // Half of the rounds go to the few commands whose keys move.
    const CommandSpec* spec = specs[random() % specs.size()];
    for (int i = 0; round % 2 == 0 && i < 50 && spec->keys[0].last == 0 && spec->keys.size() < 2;
         ++i) {
      spec = specs[random() % specs.size()];
    }
    const size_t least = static_cast<size_t>(spec->arity < 0 ? -spec->arity : spec->arity);
    const size_t size = spec->arity < 0 ? least + random() % 6 : least;
    std::vector<std::string> words = {std::string(spec->name)};
    while (words.size() < size) words.push_back(pool[random() % pool.size()]);
    if (WeKnowBetter(words) || IsOddWhenMalformed(words)) continue;
    ASSERT_EQ(OurKeys(words), ServerKeys(server_, words)) << Join(words);
  }
}

// Rows of COMMAND by name, subcommands included.
void CollectRows(const redisReply* rows, std::map<std::string, const redisReply*>* found) {
  for (size_t i = 0; i < rows->elements; ++i) {
    const redisReply* row = rows->element[i];
    (*found)[TextOf(row->element[0])] = row;
    if (row->elements > 9) CollectRows(row->element[9], found);
  }
}

TEST_F(ServerAgreementTest, OnArityAndFlags) {
  const std::map<std::string, uint16_t> flags = {
      {"readonly", kFlagRead},  {"write", kFlagWrite},   {"blocking", kFlagBlocking},
      {"admin", kFlagAdmin},    {"pubsub", kFlagPubSub}, {"no_multi", kFlagNoMulti},
      {"no_auth", kFlagNoAuth},
  };
  const std::set<std::string> blocking_of_newer = {"wait"};
  const Reply all = Ask({"COMMAND"});
  std::map<std::string, const redisReply*> rows;
  CollectRows(all.get(), &rows);
  EXPECT_GT(rows.size(), 300u);
  for (const auto& [name, row] : rows) {
    SCOPED_TRACE(name);
    const CommandSpec* spec = FindRow(name);
    ASSERT_NE(spec, nullptr);
    EXPECT_TRUE(ArityOfNewer().contains(name) || spec->arity == row->element[1]->integer);
    uint16_t expected = 0;
    for (size_t i = 0; i < row->element[2]->elements; ++i) {
      const auto flag = flags.find(TextOf(row->element[2]->element[i]));
      if (flag != flags.end()) expected |= flag->second;
    }
    if (blocking_of_newer.contains(name)) expected |= kFlagBlocking;
    const uint16_t compared = kFlagRead | kFlagWrite | kFlagBlocking | kFlagAdmin | kFlagPubSub |
                              kFlagNoMulti | kFlagNoAuth;
    EXPECT_EQ(spec->flags & compared, expected);
  }
}

TEST_F(ServerAgreementTest, OnSlots) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937 random(kSeed);
  for (int round = 0; round < 3000; ++round) {
    std::string key(random() % 40, '\0');
    for (char& byte : key) {
      const uint32_t kind = random() % 6;
      byte = kind == 0 ? '{' : kind == 1 ? '}' : static_cast<char>(random());
    }
    const Reply reply = Ask({"CLUSTER", "KEYSLOT", key});
    ASSERT_EQ(reply->type, REDIS_REPLY_INTEGER);
    ASSERT_EQ(HashSlot(key), reply->integer) << testing::PrintToString(key);
  }
}

TEST_F(ServerAgreementTest, OnErrorTexts) {
  const std::vector<std::vector<std::string>> unknown = {
      {"foo"},
      {"FOO", "a", "b"},
      {"foo", ""},
      {std::string(300, 'n'), "x"},
      {"foo", std::string(100, 'a'), std::string(100, 'b'), "c"},
      {"foo", std::string(124, 'a'), "b"},
      {"foo", std::string(125, 'a'), "b"},
      {"foo", std::string(126, 'a'), "b"},
      {"foo", std::string(1000, 'a'), "b"},
      {"a\r\nb", "c\nd", "\r"},
      {std::string("ab\0cd", 5), std::string("\0x", 2), "y"},
      {"client", "foo"},
      {"Object", "Foo", "bar"},
      {"COMMAND", std::string(300, 's')},
      {"config", "x\r\ny"},
      {"xinfo", ""},
  };
  for (const std::vector<std::string>& words : unknown) {
    const Reply reply = Ask(words);
    ASSERT_EQ(reply->type, REDIS_REPLY_ERROR) << Join(words);
    const CommandForTest command(words);
    const bool is_container = FindCommand(words[0]) != nullptr;
    EXPECT_EQ(
        is_container ? UnknownSubcommandError(command.view()) : UnknownCommandError(command.view()),
        TextOf(reply.get()))
        << Join(words);
  }
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"get"}, {"GET", "a", "b"}, {"client"}, {"CLIENT", "GETNAME", "x"}, {"set", "k"}}) {
    const Reply reply = Ask(words);
    EXPECT_EQ(ArityError(*SpecOf(words)), TextOf(reply.get())) << Join(words);
  }
  ASSERT_EQ(Ask({"CLUSTER", "ADDSLOTS", std::to_string(HashSlot("a"))})->type, REDIS_REPLY_STATUS);
  EXPECT_EQ(kCrossSlotError, TextOf(Ask({"MGET", "a", "b"}).get()));
}

// ---- what a server reports, if we knew nothing else

std::string Encode(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_INTEGER:
      return NumberForTest(static_cast<int>(reply.integer));
    case REDIS_REPLY_ARRAY: {
      std::vector<std::string> elements;
      for (size_t i = 0; i < reply.elements; ++i) elements.push_back(Encode(*reply.element[i]));
      return ListForTest(elements);
    }
    default:
      return BulkForTest(TextOf(&reply));
  }
}

void ExpectSameKeys(const CommandSpec& row, const ReportedCommand& reported) {
  SCOPED_TRACE(row.name);
  const bool has_code = std::ranges::any_of(
      row.keys, [](const KeySpec& keys) { return keys.find == KeySpec::Find::kMovable; });
  if (row.name == "sort_ro") return;  // Its unknown keys are patterns, which rcproxy leaves alone.
  EXPECT_EQ(reported.keys_are_known, !has_code);
  if (has_code) return;
  ASSERT_EQ(reported.keys.size(), row.keys.size());
  for (size_t i = 0; i < row.keys.size(); ++i) {
    KeySpec keys = reported.keys[i].spec;
    keys.keyword = reported.keys[i].keyword;
    EXPECT_EQ(keys, row.keys[i]) << "spec " << i;
  }
}

TEST_F(ServerAgreementTest, ItsReportHasTheKeysOfTheTable) {
  const auto report = ParseCommandReply(Encode(*Ask({"COMMAND"})));
  ASSERT_TRUE(report.ok()) << report.status();
  int compared = 0;
  for (const ReportedCommand& reported : *report) {
    const CommandSpec* row = FindCommand(reported.name);
    ASSERT_NE(row, nullptr) << reported.name;
    ExpectSameKeys(*row, reported);
    for (const ReportedCommand& subcommand : reported.subcommands) {
      const CommandSpec* sub = FindSubcommand(*row, subcommand.name);
      ASSERT_NE(sub, nullptr) << row->name << "|" << subcommand.name;
      ExpectSameKeys(*sub, subcommand);
      ++compared;
    }
    ++compared;
  }
  EXPECT_GT(compared, 300);
}

// The same report under names that nobody knows: data commands get the route of the table.
TEST_F(ServerAgreementTest, ItsReportAloneGivesTheRoutesOfTheTable) {
  auto report = ParseCommandReply(Encode(*Ask({"COMMAND"})));
  ASSERT_TRUE(report.ok()) << report.status();
  for (ReportedCommand& command : *report) command.name = "new." + command.name;
  const LearntCommands table(*report);
  std::set<std::string> differ;
  for (const CommandSpec& learnt : table.commands()) {
    const CommandSpec& row = *FindCommand(learnt.name.substr(4));
    if (!row.Has(kFlagRead) && !row.Has(kFlagWrite)) {
      EXPECT_NE(learnt.route, Route::kAnyPrimary) << learnt.name;
      continue;
    }
    if (learnt.route != row.route || learnt.merge != row.merge) differ.emplace(row.name);
    if (learnt.route != Route::kRefuse) {
      EXPECT_EQ(learnt.Has(kFlagRead), row.Has(kFlagRead)) << row.name;
      EXPECT_EQ(learnt.Has(kFlagWrite), row.Has(kFlagWrite)) << row.name;
    }
  }
  const std::set<std::string> expected = {
      "blmove",  "blmpop",        "brpoplpush", "bzmpop",  // Their timeout is where nobody tells.
      "xread",   "xreadgroup",                             // They block only with an option.
      "sort",    "sort_ro",                                // Their keys are found by code,
      "scan",                                              // and the way of this one is special.
      "mset",                                              // Not all its arguments are keys.
      "pfdebug", "restore-asking"};                        // For nodes among themselves.
  EXPECT_EQ(differ, expected);
}

}  // namespace
}  // namespace rcproxy::cluster
