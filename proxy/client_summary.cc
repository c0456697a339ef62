#include "proxy/client_summary.h"

#include <algorithm>

#include "proxy/text.h"
#include "resp/number.h"

namespace rcproxy::proxy {
namespace {

constexpr size_t kNamesMax = 20;  // In the reply; those with most clients.

std::string NameOf(const Session& session) {
  if (session.extras == nullptr) return "library=,name=";
  return Concat("library=", session.extras->library_name, ",name=", session.extras->name);
}

// Cuts the first word off.
std::string_view TakeWord(std::string_view* text) {
  const std::string_view word = text->substr(0, text->find(' '));
  text->remove_prefix(std::min(word.size() + 1, text->size()));
  return word;
}

}  // namespace

void ClientSummary::Count(const Session& session, const Use& use) {
  ++clients_;
  blocked_ += use.is_blocked ? 1 : 0;
  bytes_ += use.bytes;
  ++by_name_[NameOf(session)];
  const auto step = std::ranges::find_if(
      kSteps, [&use](const auto& candidate) { return use.output_bytes <= candidate.second; });
  ++by_output_[step - kSteps.begin()];
}

void ClientSummary::AddLargest(uint64_t bytes, std::string_view line) {
  const auto place =
      std::ranges::find_if(largest_, [bytes](const auto& other) { return other.first < bytes; });
  largest_.emplace(place, bytes, line.substr(0, line.find('\n')));
  if (largest_.size() > kLargestMax) largest_.pop_back();
}

std::string ClientSummary::Encode() const {
  std::string text = Concat("clients ", clients_, "\nblocked ", blocked_, "\nbytes ", bytes_, "\n");
  for (size_t i = 0; i < kSteps.size(); ++i) {
    text += Concat("output ", by_output_[i], " ", kSteps[i].first, "\n");
  }
  for (const auto& [name, count] : by_name_) text += Concat("name ", count, " ", name, "\n");
  for (const auto& [bytes, line] : largest_) text += Concat("large ", bytes, " ", line, "\n");
  return text;
}

void ClientSummary::Add(std::string_view encoded) {
  while (!encoded.empty()) {
    std::string_view line = encoded.substr(0, encoded.find('\n'));
    encoded.remove_prefix(std::min(line.size() + 1, encoded.size()));
    const std::string_view word = TakeWord(&line);
    int64_t number = 0;
    if (!resp::ParseStrictInteger(TakeWord(&line), &number)) continue;
    AddWord(word, static_cast<uint64_t>(number), line);
  }
}

void ClientSummary::AddWord(std::string_view word, uint64_t number, std::string_view rest) {
  if (word == "clients") clients_ += number;
  if (word == "blocked") blocked_ += number;
  if (word == "bytes") bytes_ += number;
  if (word == "name") by_name_[std::string(rest)] += number;
  if (word == "large") AddLargest(number, rest);
  if (word != "output") return;
  for (size_t i = 0; i < kSteps.size(); ++i) {
    if (kSteps[i].first == rest) by_output_[i] += number;
  }
}

std::string ClientSummary::Describe(std::span<const ClientSummary> workers) const {
  std::string text = Concat("# Clients\r\nclients:", clients_, "\r\nblocked:", blocked_,
                            "\r\nbytes_held:", bytes_, "\r\n\r\n# Workers\r\n");
  for (size_t i = 0; i < workers.size(); ++i) {
    const ClientSummary& worker = workers[i];
    text += Concat("worker", i, ":clients=", worker.clients_, ",blocked=", worker.blocked_,
                   ",bytes_held=", worker.bytes_, "\r\n");
  }
  text += "\r\n# Names\r\n";
  std::vector<std::pair<uint64_t, std::string_view>> names;
  for (const auto& [name, count] : by_name_) names.emplace_back(count, name);
  std::ranges::stable_sort(names, std::greater<>(), &std::pair<uint64_t, std::string_view>::first);
  for (size_t i = 0; i < std::min(names.size(), kNamesMax); ++i) {
    text += Concat("name", i, ":clients=", names[i].first, ",", names[i].second, "\r\n");
  }
  text += "\r\n# Output\r\n";
  for (size_t i = 0; i < kSteps.size(); ++i) {
    text += Concat("output_", kSteps[i].first, ":", by_output_[i], "\r\n");
  }
  text += "\r\n# Largest\r\n";
  for (size_t i = 0; i < largest_.size(); ++i) {
    text +=
        Concat("largest", i, ":bytes_held=", largest_[i].first, " ", largest_[i].second, "\r\n");
  }
  return text;
}

std::string DescribeClients(std::span<const std::string_view> answers) {
  std::vector<ClientSummary> workers(answers.size());
  ClientSummary all;
  for (size_t i = 0; i < answers.size(); ++i) {
    workers[i].Add(answers[i]);
    all.Add(answers[i]);
  }
  return all.Describe(workers);
}

}  // namespace rcproxy::proxy
