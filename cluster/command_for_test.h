// A command made of words, for tests: owns the bytes and spans that a CommandView looks at.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command_view.h"

namespace rcproxy::cluster {

class CommandForTest {
 public:
  explicit CommandForTest(const std::vector<std::string>& words) {
    bytes_ = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) {
      bytes_ += "$" + std::to_string(word.size()) + "\r\n";
      spans_.push_back({static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(word.size())});
      bytes_ += word + "\r\n";
    }
  }
  CommandForTest(const CommandForTest&) = delete;
  CommandForTest& operator=(const CommandForTest&) = delete;

  // Valid while this object is.
  resp::CommandView view() const { return {bytes_, spans_}; }

 private:
  std::string bytes_;
  std::vector<resp::ArgSpan> spans_;
};

// "SET key value" -> its words. No quoting; '' stands for an empty word.
inline std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> words;
  while (!line.empty()) {
    const size_t end = line.find(' ');
    const std::string_view word = line.substr(0, end);
    if (!word.empty()) words.emplace_back(word == "''" ? "" : word);
    line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  }
  return words;
}

}  // namespace rcproxy::cluster
