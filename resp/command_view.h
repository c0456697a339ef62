// The arguments of one complete command as views. Nothing is owned: valid while the bytes and the
// span array are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace rcproxy::resp {

// Where an argument's payload lies, relative to the command's first byte.
struct ArgSpan {
  uint32_t offset;
  uint32_t size;
};

class CommandView {
 public:
  CommandView() = default;
  // `bytes` is the command in multibulk form, complete, beginning with '*'.
  CommandView(std::string_view bytes, std::span<const ArgSpan> args) : bytes_(bytes), args_(args) {}

  size_t size() const { return args_.size(); }
  std::string_view operator[](size_t index) const {
    return bytes_.substr(args_[index].offset, args_[index].size);
  }
  // The argument with its "$n\r\n" header and the final "\r\n", ready to be copied into another
  // command.
  std::string_view Encoded(size_t index) const;
  std::string_view bytes() const { return bytes_; }
  // The same command at another place that holds the same bytes.
  CommandView At(const char* copy) const { return {{copy, bytes_.size()}, args_}; }

 private:
  std::string_view bytes_;
  std::span<const ArgSpan> args_;
};

}  // namespace rcproxy::resp
