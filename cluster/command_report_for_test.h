// Replies to COMMAND as servers give them in RESP2, made of what a test says. Tests only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cluster/command_report.h"
#include "cluster/command_report_parser.h"

namespace rcproxy::cluster {

inline std::string BulkForTest(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}
inline std::string NumberForTest(int number) { return ":" + std::to_string(number) + "\r\n"; }
// Of encoded elements.
inline std::string ListForTest(const std::vector<std::string>& elements) {
  std::string list = "*" + std::to_string(elements.size()) + "\r\n";
  for (const std::string& element : elements) list += element;
  return list;
}
inline std::string WordsForTest(const std::vector<std::string>& words) {
  std::vector<std::string> elements;
  for (const std::string& word : words) elements.push_back("+" + word + "\r\n");
  return ListForTest(elements);
}

// A key spec. `begin` and `find` are pairs of a type and its encoded numbers.
inline std::string KeySpecForTest(const std::vector<std::string>& flags,
                                  const std::string& begin_type,
                                  const std::vector<std::string>& begin,
                                  const std::string& find_type,
                                  const std::vector<std::string>& find) {
  const auto typed = [](const std::string& type, const std::vector<std::string>& fields) {
    return ListForTest(
        {BulkForTest("type"), BulkForTest(type), BulkForTest("spec"), ListForTest(fields)});
  };
  return ListForTest({BulkForTest("flags"), WordsForTest(flags), BulkForTest("begin_search"),
                      typed(begin_type, begin), BulkForTest("find_keys"), typed(find_type, find)});
}
inline std::vector<std::string> RangeForTest(int last, int step, int limit) {
  return {BulkForTest("lastkey"), NumberForTest(last),  BulkForTest("keystep"),
          NumberForTest(step),    BulkForTest("limit"), NumberForTest(limit)};
}
inline std::string RangeSpecForTest(int index, int last = 0, int step = 1, int limit = 0,
                                    const std::vector<std::string>& flags = {"RW"}) {
  return KeySpecForTest(flags, "index", {BulkForTest("index"), NumberForTest(index)}, "range",
                        RangeForTest(last, step, limit));
}
inline std::string KeywordSpecForTest(const std::string& keyword, int start, int last, int limit) {
  return KeySpecForTest({"RO"}, "keyword",
                        {BulkForTest("keyword"), BulkForTest(keyword), BulkForTest("startfrom"),
                         NumberForTest(start)},
                        "range", RangeForTest(last, 1, limit));
}
inline std::string KeyNumSpecForTest(int index, int count_at = 0, int first = 1, int step = 1) {
  return KeySpecForTest({"RO"}, "index", {BulkForTest("index"), NumberForTest(index)}, "keynum",
                        {BulkForTest("keynumidx"), NumberForTest(count_at), BulkForTest("firstkey"),
                         NumberForTest(first), BulkForTest("keystep"), NumberForTest(step)});
}
inline std::string UnknownSpecForTest() {
  return KeySpecForTest({"RO"}, "unknown", {}, "unknown", {});
}

struct EntryForTest {
  std::string name;
  int arity = -2;
  std::vector<std::string> flags = {};
  std::vector<std::string> specs = {};  // As the functions above make them.
  std::vector<std::string> tips = {};
  std::vector<EntryForTest> subcommands = {};  // With their full names.
  std::vector<int> numbers = {0, 0, 0};        // First, last, step.
  bool before_7 = false;                       // Nothing but the numbers.

  std::string Encode() const {
    std::vector<std::string> fields = {BulkForTest(name),         NumberForTest(arity),
                                       WordsForTest(flags),       NumberForTest(numbers[0]),
                                       NumberForTest(numbers[1]), NumberForTest(numbers[2]),
                                       WordsForTest({"@all"})};
    if (before_7) return ListForTest(fields);
    std::vector<std::string> encoded;
    for (const EntryForTest& subcommand : subcommands) encoded.push_back(subcommand.Encode());
    std::vector<std::string> bulk_tips;
    for (const std::string& tip : tips) bulk_tips.push_back(BulkForTest(tip));
    fields.insert(fields.end(), {ListForTest(bulk_tips), ListForTest(specs), ListForTest(encoded)});
    return ListForTest(fields);
  }
};

inline std::string CommandReplyForTest(const std::vector<EntryForTest>& entries) {
  std::vector<std::string> encoded;
  for (const EntryForTest& entry : entries) encoded.push_back(entry.Encode());
  return ListForTest(encoded);
}
// Requires: it is a valid reply.
inline CommandReport ReportForTest(const std::vector<EntryForTest>& entries) {
  return *ParseCommandReply(CommandReplyForTest(entries));
}

}  // namespace rcproxy::cluster
