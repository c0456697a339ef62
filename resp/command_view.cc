#include "resp/command_view.h"

#include "resp/number.h"

namespace rcproxy::resp {

std::string_view CommandView::Encoded(size_t index) const {
  const ArgSpan& arg = args_[index];
  const size_t header_bytes = static_cast<size_t>(DecimalLength(arg.size)) + 3;
  return bytes_.substr(arg.offset - header_bytes, header_bytes + arg.size + 2);
}

}  // namespace rcproxy::resp
