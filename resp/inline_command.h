// Splits the line of an inline command into arguments, as the server's sdssplitargs does: white
// space separates, "..." with \xHH \n \r \t \b \a and \<any> inside, '...' with \' inside, and a
// closing quote must be followed by white space or the end. Where the server's C strings stop at a
// NUL byte we do not: it is an ordinary byte here.
//
// Cold: people type inline commands; it allocates. Pure function, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "resp/command_view.h"

namespace rcproxy::resp {

// Appends the arguments' bytes to `text` and their places in it to `args`. Returns false when
// quotes are unbalanced; the outputs are then unspecified.
bool SplitInlineCommand(std::string_view line, std::string* text, std::vector<ArgSpan>* args);

}  // namespace rcproxy::resp
