// One command that is being answered by rcproxy, and the rows that tell which function answers it.
//
// Owner: LocalCommands::Run, for the length of one call. Thread: the worker's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "cluster/command_table.h"
#include "proxy/local_host.h"
#include "proxy/operation.h"
#include "proxy/server_facts.h"
#include "proxy/session.h"
#include "proxy/text.h"
#include "resp/command_view.h"
#include "resp/writer.h"

namespace rcproxy::proxy {

// A client's word as an error text may repeat it: as "%s" prints it on the server, but not at any
// length.
inline std::string_view ForErrorText(std::string_view word) {
  constexpr size_t kBytesMax = 128;
  return word.substr(0, std::min(kBytesMax, word.find('\0')));
}

struct LocalCall {
  const ServerFacts& facts;
  const cluster::CommandSpec& spec;
  const resp::CommandView& command;
  Session& session;
  std::string& reply;  // Empty at first; a handler appends exactly one reply.
  LocalHost& host;
  bool close = false;                              // The client leaves after this reply.
  bool is_silent = false;                          // There is no reply.
  std::unique_ptr<Operation> operation = nullptr;  // Will give the reply.

  resp::Protocol protocol() const { return session.protocol; }
  void Ok() { resp::AppendSimple(&reply, "OK"); }
  void Bulk(std::string_view text) { resp::AppendBulk(&reply, text); }
  void Integer(int64_t value) { resp::AppendInteger(&reply, value); }
  void Array(size_t count) { resp::AppendArrayHeader(&reply, count); }
  void Map(size_t pairs) { resp::AppendMapHeader(&reply, protocol(), pairs); }
  void Set(size_t count) { resp::AppendSetHeader(&reply, protocol(), count); }
  void Null() { resp::AppendNull(&reply, protocol()); }
  // Text for people.
  void Text(std::string_view text) { resp::AppendVerbatim(&reply, protocol(), "txt", text); }
  // `text` begins with its code and has no "-".
  void Error(std::string_view text) { resp::AppendError(&reply, text); }
  // For more arguments than a subcommand takes where the table knows only the least number.
  void SubcommandSyntaxError() {
    Error(Concat("ERR unknown subcommand or wrong number of arguments for '",
                 ForErrorText(command[1]), "'. Try ", ToUpper(command[0]), " HELP."));
  }
};

using LocalHandler = void (*)(LocalCall& call);

struct LocalHandlerRow {
  std::string_view name;  // As in the command table.
  LocalHandler handler;
  // Runs only when everything asked before has been answered, because it changes how the client is
  // answered, or takes an operation.
  bool waits = false;
};

}  // namespace rcproxy::proxy
