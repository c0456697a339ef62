// How the INFO texts of several nodes become one: which sections there are, and for each field the
// rule that makes one value of many. Data; immutable; any thread.
//
// What is about the process that a client talks to is rcproxy's own (kOwn): its port, its uptime,
// its clients. What is about data and load is the nodes'. A field that no rule names follows the
// last rule of its section, so fields of newer servers are added up where they are numbers.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace rcproxy::proxy {

// When a section is part of the answer though nobody has named it.
enum class InfoWhen : uint8_t {
  kDefault,  // INFO, INFO default, and the others.
  kAll,      // INFO all and INFO everything alone.
};

struct InfoSection {
  std::string_view title;  // Its name is the same in any case.
  bool from_nodes = false;
  InfoWhen when = InfoWhen::kDefault;
};

enum class InfoHow : uint8_t {
  kOwn,     // rcproxy's own value; none: no such line.
  kSum,     // Numbers. Of texts the first node's.
  kMax,     //
  kMin,     //
  kMean,    // Weighted by the field that `by` names.
  kLimit,   // A sum in which 0 stands for "no limit".
  kStatus,  // The first value that is not `by`, which says that all is well.
  kFirst,   // The first node's.
  kHuman,   // Of the field without "_human".
  kParts,   // "a=1,b=2": part by part, as FindInfoPartRule says.
  kLines,   // Every different line.
  kDrop,    // No such line.
};

struct InfoRule {
  std::string_view section;
  std::string_view field;  // A glob pattern.
  InfoHow how = InfoHow::kDrop;
  std::string_view by = {};
};

// In the order of the answer.
std::span<const InfoSection> InfoSections();
// Those that INFO means with `names` behind it, each once: names in any case; "default", "all" and
// "everything" stand for several, none for "default"; an unknown one adds nothing.
std::vector<InfoSection> InfoSectionsNamed(std::span<const std::string_view> names);

const InfoRule& FindInfoRule(std::string_view section, std::string_view field);
const InfoRule& FindInfoPartRule(std::string_view section, std::string_view part);

}  // namespace rcproxy::proxy
