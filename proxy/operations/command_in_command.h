// A command that is the arguments of another one: PROXY EXPLAIN MGET a b.
//
// Owns its bytes. Thread: any.
#pragma once

#include <string>
#include <vector>

#include "cluster/command_errors.h"
#include "cluster/command_table.h"
#include "proxy/known_commands.h"
#include "proxy/operations/operation_text.h"
#include "resp/command_view.h"

namespace rcproxy::proxy {

class CommandInCommand {
 public:
  // The arguments of `outer` from `first` on. Requires: there is one.
  CommandInCommand(const KnownCommands& commands, const resp::CommandView& outer, size_t first) {
    std::vector<std::string_view> words;
    for (size_t i = first; i < outer.size(); ++i) words.push_back(outer[i]);
    bytes_ = CommandOf(words);
    size_t at = bytes_.find("\r\n") + 2;
    for (const std::string_view word : words) {
      at += resp::BulkBytes(word.size()) - word.size() - 2;
      spans_.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(word.size())});
      at += word.size() + 2;
    }
    Find(commands);
  }
  CommandInCommand(const CommandInCommand&) = delete;
  CommandInCommand& operator=(const CommandInCommand&) = delete;

  resp::CommandView view() const { return {bytes_, spans_}; }
  const std::string& bytes() const { return bytes_; }
  // nullptr: `error` says why.
  const cluster::CommandSpec* spec() const { return spec_; }
  const std::string& error() const { return error_; }

 private:
  void Find(const KnownCommands& commands) {
    const resp::CommandView command = view();
    const cluster::CommandSpec* found = commands.FindFor(command);
    if (found == nullptr) {
      error_ = commands.UnknownError(command);
    } else if (!found->ArityOk(command.size())) {
      error_ = cluster::ArityError(*found);
    } else {
      spec_ = found;
    }
  }

  std::string bytes_;
  std::vector<resp::ArgSpan> spans_;
  const cluster::CommandSpec* spec_ = nullptr;
  std::string error_;
};

}  // namespace rcproxy::proxy
