#include "cluster/command_errors.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace rcproxy::cluster {
namespace {

constexpr size_t kQuotedBytesMax = 128;  // Of a name, and of all arguments together.

// What the server's "%.*s" prints: the bytes before the first NUL, at most `max`.
std::string_view Printed(std::string_view text, size_t max) {
  return text.substr(0, std::min(max, text.find('\0')));
}

// A line break of the client's would end the reply and begin one of its choice.
std::string OnOneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\r', ' ');
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string UpperCase(std::string_view text) {
  std::string upper(text);
  for (char& byte : upper) {
    if (byte >= 'a' && byte <= 'z') byte = static_cast<char>(byte - 32);
  }
  return upper;
}

// "client|list" -> "CLIENT LIST".
std::string DisplayName(const CommandSpec& spec) {
  std::string name = UpperCase(spec.name);
  std::replace(name.begin(), name.end(), '|', ' ');
  return name;
}

std::string_view AdviceFor(const CommandSpec& spec) {
  const bool note_is_advice =
      spec.route == Route::kRefuse || spec.route == Route::kNodeOnly || spec.Has(kFlagNotYet);
  return note_is_advice && !spec.note.empty() ? spec.note : "send it to the node itself";
}

}  // namespace

std::string UnknownCommandError(const resp::CommandView& command) {
  std::string arguments;
  for (size_t i = 1; i < command.size() && arguments.size() < kQuotedBytesMax; ++i) {
    const size_t room = kQuotedBytesMax - arguments.size();
    arguments += '\'';
    arguments += Printed(command[i], room);
    arguments += "' ";
  }
  std::string text = "ERR unknown command '";
  text += Printed(command[0], kQuotedBytesMax);
  text += "', with args beginning with: ";
  text += arguments;
  return OnOneLine(std::move(text));
}

std::string UnknownSubcommandError(const resp::CommandView& command) {
  std::string text = "ERR unknown subcommand '";
  text += Printed(command[1], kQuotedBytesMax);
  text += "'. Try ";
  text += UpperCase(command[0]);
  text += " HELP.";
  return OnOneLine(std::move(text));
}

std::string ArityError(const CommandSpec& spec) {
  std::string text = "ERR wrong number of arguments for '";
  text += spec.name;
  text += "' command";
  return text;
}

std::string NotAvailableError(const CommandSpec& spec) {
  std::string text = "ERR " + DisplayName(spec) + " is not available through rcproxy: ";
  text += AdviceFor(spec);
  return text;
}

}  // namespace rcproxy::cluster
