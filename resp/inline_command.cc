#include "resp/inline_command.h"

#include <cstddef>
#include <cstdint>

namespace rcproxy::resp {
namespace {

// What isspace says in the C locale.
bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// What ends a word outside quotes. The server leaves out \v and \f here.
bool EndsWord(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char Unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

class LineSplitter {
 public:
  LineSplitter(std::string_view line, std::string* text) : rest_(line), text_(text) {}

  void SkipSpace() {
    while (!rest_.empty() && IsSpace(rest_[0])) rest_.remove_prefix(1);
  }
  bool AtEnd() const { return rest_.empty(); }
  bool TakeWord();

 private:
  bool TakeDoubleQuoted();
  bool TakeSingleQuoted();
  void TakeEscape();
  bool ClosesWell() const { return rest_.empty() || IsSpace(rest_[0]); }
  char Next() {
    const char c = rest_[0];
    rest_.remove_prefix(1);
    return c;
  }

  std::string_view rest_;  // The caller's line.
  std::string* const text_;
};

// Requires: a backslash was taken and something follows.
void LineSplitter::TakeEscape() {
  if (rest_.size() >= 3 && rest_[0] == 'x' && HexDigit(rest_[1]) >= 0 && HexDigit(rest_[2]) >= 0) {
    text_->push_back(static_cast<char>(HexDigit(rest_[1]) * 16 + HexDigit(rest_[2])));
    rest_.remove_prefix(3);
    return;
  }
  text_->push_back(Unescaped(Next()));
}

bool LineSplitter::TakeDoubleQuoted() {
  while (!rest_.empty()) {
    const char c = Next();
    if (c == '"') return ClosesWell();
    if (c == '\\' && !rest_.empty()) {
      TakeEscape();
    } else {
      text_->push_back(c);
    }
  }
  return false;
}

bool LineSplitter::TakeSingleQuoted() {
  while (!rest_.empty()) {
    const char c = Next();
    if (c == '\'') return ClosesWell();
    if (c == '\\' && !rest_.empty() && rest_[0] == '\'') {
      text_->push_back(Next());
    } else {
      text_->push_back(c);
    }
  }
  return false;
}

bool LineSplitter::TakeWord() {
  while (!rest_.empty() && !EndsWord(rest_[0])) {
    const char c = Next();
    // A closing quote is followed by the end of the word, so it is the word's end too.
    if (c == '"') return TakeDoubleQuoted();
    if (c == '\'') return TakeSingleQuoted();
    text_->push_back(c);
  }
  return true;
}

}  // namespace

bool SplitInlineCommand(std::string_view line, std::string* text, std::vector<ArgSpan>* args) {
  LineSplitter splitter(line, text);
  for (splitter.SkipSpace(); !splitter.AtEnd(); splitter.SkipSpace()) {
    const size_t begin = text->size();
    if (!splitter.TakeWord()) return false;
    args->push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(text->size() - begin)});
  }
  return true;
}

}  // namespace rcproxy::resp
