#include "proxy/info_merger.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "proxy/human_bytes.h"
#include "proxy/text.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

// ---- numbers, as INFO writes them: "12", "-1", "0.25", "99.50%"

struct Number {
  double value = 0;
  int64_t exact = 0;  // When is_integer.
  bool is_integer = false;
  bool is_percentage = false;
  int decimals = 0;
};

std::optional<Number> ParseNumber(std::string_view text) {
  Number number;
  if (text.ends_with('%')) {
    number.is_percentage = true;
    text.remove_suffix(1);
  }
  if (resp::ParseStrictInteger(text, &number.exact)) {
    number.is_integer = true;
    number.value = static_cast<double>(number.exact);
    return number;
  }
  const char* const end = text.data() + text.size();
  const auto [rest, error] =
      std::from_chars(text.data(), end, number.value, std::chars_format::fixed);
  if (error != std::errc() || rest != end || !std::isfinite(number.value)) return std::nullopt;
  constexpr int kDecimalsMax = 9;
  const size_t point = text.find('.');
  if (point != std::string_view::npos) {
    const size_t decimals = text.size() - point - 1;
    number.decimals = static_cast<int>(std::min<size_t>(decimals, kDecimalsMax));
  }
  return number;
}

std::string FormatNumber(const Number& number) {
  const char* const unit = number.is_percentage ? "%" : "";
  if (number.is_integer) return absl::StrFormat("%d%s", number.exact, unit);
  constexpr double kLargest = std::numeric_limits<double>::max();
  const double value = std::isnan(number.value) ? 0 : std::clamp(number.value, -kLargest, kLargest);
  return absl::StrFormat("%.*f%s", number.decimals, value, unit);
}

int64_t AddSaturating(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

// A number that has been made of `a` and `b`, without its value.
Number Combined(const Number& a, const Number& b) {
  Number number;
  number.is_integer = a.is_integer && b.is_integer;
  number.is_percentage = a.is_percentage || b.is_percentage;
  number.decimals = std::max(a.decimals, b.decimals);
  return number;
}

Number Sum(const Number& a, const Number& b) {
  Number sum = Combined(a, b);
  sum.value = a.value + b.value;
  sum.exact = AddSaturating(a.exact, b.exact);
  return sum;
}

// ---- fields by name, with a value of each text

class FieldTable {
 public:
  using Values = std::vector<std::string_view>;  // One per text; empty where it has none.

  explicit FieldTable(size_t texts) : texts_(texts) {}

  // What is beyond the limit is ignored: no server has so much to say.
  void Add(size_t text, std::string_view name, std::string_view value) {
    constexpr size_t kFieldsMax = 4096;
    if (rows_.size() == kFieldsMax && !rows_.contains(name)) return;
    auto [found, is_new] = rows_.try_emplace(name);
    if (is_new) {
      names_.push_back(name);
      found->second.resize(texts_);
    }
    std::string_view& place = found->second[text];
    if (place.data() == nullptr) place = value;
  }
  // In the order in which they were added first.
  const std::vector<std::string_view>& names() const { return names_; }
  const Values& Find(std::string_view name) const {
    static const Values none;
    const auto found = rows_.find(name);
    return found == rows_.end() ? none : found->second;
  }

 private:
  const size_t texts_;
  std::vector<std::string_view> names_;
  std::unordered_map<std::string_view, Values> rows_;
};

using Values = FieldTable::Values;

std::string FirstText(const Values& values) {
  for (const std::string_view value : values) {
    if (value.data() != nullptr) return std::string(value);
  }
  return {};
}

// Texts, where there is no number among them: the first.
template <typename Fold>
std::string FoldNumbers(const Values& values, Fold fold) {
  std::optional<Number> result;
  for (const std::string_view value : values) {
    const std::optional<Number> number = ParseNumber(value);
    if (number.has_value()) result = result.has_value() ? fold(*result, *number) : *number;
  }
  return result.has_value() ? FormatNumber(*result) : FirstText(values);
}

std::string Largest(const Values& values) {
  return FoldNumbers(values,
                     [](const Number& a, const Number& b) { return b.value > a.value ? b : a; });
}

std::string Smallest(const Values& values) {
  return FoldNumbers(values,
                     [](const Number& a, const Number& b) { return b.value < a.value ? b : a; });
}

std::string SumOrNoLimit(const Values& values) {
  return FoldNumbers(values, [](const Number& a, const Number& b) {
    if (a.value == 0) return a;
    return b.value == 0 ? b : Sum(a, b);
  });
}

std::string WeightedMean(const Values& values, const Values& weights) {
  Number mean;
  double total = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const std::optional<Number> number = ParseNumber(values[i]);
    if (!number.has_value()) continue;
    const double weight = i < weights.size() ? ParseNumber(weights[i]).value_or(Number()).value : 0;
    mean = {.value = mean.value,
            .is_percentage = mean.is_percentage || number->is_percentage,
            .decimals = std::max(mean.decimals, number->decimals)};
    if (weight <= 0) continue;
    total += weight;
    mean.value += (number->value - mean.value) * (weight / total);
  }
  if (total > 0) return FormatNumber(mean);
  return Largest(values);  // Nothing to weigh: usually all of them are 0.
}

std::string FirstBadStatus(const Values& values, std::string_view good) {
  for (const std::string_view value : values) {
    if (value.data() != nullptr && value != good) return std::string(value);
  }
  return FirstText(values);
}

// ---- one section

// One text's line "name:value", or part "name=value".
struct Field {
  std::string_view name;
  std::string_view value;
};

std::optional<Field> SplitField(std::string_view text, char separator) {
  const size_t at = text.find(separator);
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  return Field{text.substr(0, at), text.substr(at + 1)};
}

class SectionMerger {
 public:
  SectionMerger(std::string_view section, size_t nodes)
      : section_(section), own_(1), nodes_(nodes) {}

  void AddOwn(const Field& field) { own_.Add(0, field.name, field.value); }
  void AddLine(size_t node, std::string_view line) {
    const std::optional<Field> field = SplitField(line, ':');
    if (!field.has_value()) return;
    const bool whole = FindInfoRule(section_, field->name).how == InfoHow::kLines;
    nodes_.Add(node, whole ? line : field->name, field->value);
  }

  // rcproxy's own fields stand where the nodes have them, or else first.
  void AppendTo(std::string* out) const {
    for (const std::string_view name : own_.names()) {
      if (nodes_.Find(name).empty()) AppendField(name, out);
    }
    for (const std::string_view name : nodes_.names()) AppendField(name, out);
  }

 private:
  void AppendField(std::string_view name, std::string* out) const {
    const InfoRule& rule = FindInfoRule(section_, name);
    if (rule.how == InfoHow::kLines) {  // The name is the line.
      *out += Concat(name, "\r\n");
      return;
    }
    const std::string value = Merged(rule, name, nodes_);
    const bool is_there =
        rule.how == InfoHow::kOwn ? !own_.Find(name).empty() : !nodes_.Find(name).empty();
    if (is_there && rule.how != InfoHow::kDrop) *out += Concat(name, ":", value, "\r\n");
  }

  std::string Merged(const InfoRule& rule, std::string_view name, const FieldTable& table) const {
    const Values& values = table.Find(name);
    switch (rule.how) {
      case InfoHow::kOwn:
        return FirstText(own_.Find(name));
      case InfoHow::kSum:
        return FoldNumbers(values, Sum);
      case InfoHow::kMax:
        return Largest(values);
      case InfoHow::kMin:
        return Smallest(values);
      case InfoHow::kMean:
        return WeightedMean(values, table.Find(rule.by));
      case InfoHow::kLimit:
        return SumOrNoLimit(values);
      case InfoHow::kStatus:
        return FirstBadStatus(values, rule.by);
      case InfoHow::kFirst:
        return FirstText(values);
      case InfoHow::kHuman:
        return Human(name);
      case InfoHow::kParts:
        return MergedParts(values);
      case InfoHow::kLines:
      case InfoHow::kDrop:
        return {};
    }
    return {};
  }

  std::string Human(std::string_view name) const {
    const std::string_view exact = name.substr(0, name.size() - std::string_view("_human").size());
    const InfoRule& rule = FindInfoRule(section_, exact);
    if (rule.how == InfoHow::kHuman) return FirstText(nodes_.Find(name));  // "_human_human".
    int64_t bytes = 0;
    const std::string merged = Merged(rule, exact, nodes_);
    resp::ParseStrictInteger(merged, &bytes);
    return HumanBytes(static_cast<uint64_t>(std::max<int64_t>(bytes, 0)));
  }

  std::string MergedParts(const Values& values) const {
    FieldTable parts(values.size());
    for (size_t node = 0; node < values.size(); ++node) {
      std::string_view rest = values[node];
      while (!rest.empty()) {
        const std::string_view part = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(part.size() + 1, rest.size()));
        const std::optional<Field> field = SplitField(part, '=');
        if (field.has_value()) parts.Add(node, field->name, field->value);
      }
    }
    std::string merged;
    for (const std::string_view name : parts.names()) {
      if (!merged.empty()) merged += ',';
      merged += Concat(name, "=", Merged(FindInfoPartRule(section_, name), name, parts));
    }
    return merged;
  }

  const std::string_view section_;
  FieldTable own_;
  FieldTable nodes_;
};

// ---- whole texts

// Calls `f` with the title of its section and each line that is neither empty nor a title; and with
// an empty line for each title.
template <typename F>
void ForEachLine(std::string_view text, F f) {
  std::string_view title;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (line.starts_with("# ")) {
      title = line.substr(2);
      line = {};
    }
    f(title, line);
  }
}

using Mergers = std::unordered_map<std::string_view, SectionMerger>;

}  // namespace

std::string MergeInfo(std::string_view own, std::span<const std::string_view> nodes,
                      std::span<const InfoSection> wanted) {
  Mergers mergers;
  const auto merger_of = [&](std::string_view title, bool of_node) -> SectionMerger* {
    const auto section = std::ranges::find(wanted, title, &InfoSection::title);
    if (section == wanted.end() || (of_node && !section->from_nodes)) return nullptr;
    return &mergers.try_emplace(section->title, section->title, nodes.size()).first->second;
  };
  ForEachLine(own, [&](std::string_view title, std::string_view line) {
    SectionMerger* const merger = merger_of(title, /*of_node=*/false);
    const std::optional<Field> field = SplitField(line, ':');
    if (merger != nullptr && field.has_value()) merger->AddOwn(*field);
  });
  for (size_t node = 0; node < nodes.size(); ++node) {
    ForEachLine(nodes[node], [&](std::string_view title, std::string_view line) {
      SectionMerger* const merger = merger_of(title, /*of_node=*/true);
      if (merger != nullptr) merger->AddLine(node, line);
    });
  }
  std::string text;
  for (const InfoSection& section : wanted) {
    const auto merger = mergers.find(section.title);
    if (merger == mergers.end()) continue;
    if (!text.empty()) text += "\r\n";
    text += Concat("# ", section.title, "\r\n");
    merger->second.AppendTo(&text);
  }
  return text;
}

}  // namespace rcproxy::proxy
