#include "resp/writer.h"

#include <cstring>

namespace rcproxy::resp {
namespace {

size_t WriteDigits(char* out, uint64_t value) {
  const int length = DecimalLength(value);
  for (int i = length - 1; i >= 0; --i) {
    out[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  return static_cast<size_t>(length);
}

void AppendHeader(std::string* out, char type, uint64_t n) {
  char header[kHeaderBytesMax];
  out->append(header, WriteHeader(header, type, n));
}

void AppendLine(std::string* out, char type, std::string_view text) {
  out->push_back(type);
  const size_t begin = out->size();
  out->append(text);
  for (size_t i = begin; i < out->size(); ++i) {
    if ((*out)[i] == '\r' || (*out)[i] == '\n') (*out)[i] = ' ';
  }
  out->append("\r\n");
}

}  // namespace

size_t WriteHeader(char* out, char type, uint64_t n) {
  out[0] = type;
  const size_t digits = WriteDigits(out + 1, n);
  std::memcpy(out + 1 + digits, "\r\n", 2);
  return digits + 3;
}

size_t WriteInteger(char* out, int64_t value) {
  if (value >= 0) return WriteHeader(out, ':', static_cast<uint64_t>(value));
  // The magnitude of INT64_MIN has no int64_t; unsigned negation is defined for it.
  const size_t size = WriteHeader(out + 1, '-', uint64_t{0} - static_cast<uint64_t>(value));
  out[0] = ':';
  return size + 1;
}

size_t WriteBulk(char* out, std::string_view text) {
  const size_t header = WriteBulkHeader(out, text.size());
  if (!text.empty()) std::memcpy(out + header, text.data(), text.size());
  std::memcpy(out + header + text.size(), "\r\n", 2);
  return header + text.size() + 2;
}

void AppendBulk(std::string* out, std::string_view text) {
  AppendHeader(out, '$', text.size());
  out->append(text);
  out->append("\r\n");
}

void AppendSimple(std::string* out, std::string_view text) { AppendLine(out, '+', text); }

void AppendError(std::string* out, std::string_view text) { AppendLine(out, '-', text); }

void AppendInteger(std::string* out, int64_t value) {
  char line[kHeaderBytesMax];
  out->append(line, WriteInteger(line, value));
}

void AppendArrayHeader(std::string* out, size_t count) { AppendHeader(out, '*', count); }

void AppendMapHeader(std::string* out, Protocol protocol, size_t pairs) {
  if (protocol == Protocol::kResp3) return AppendHeader(out, '%', pairs);
  AppendHeader(out, '*', pairs * 2);
}

void AppendSetHeader(std::string* out, Protocol protocol, size_t count) {
  AppendHeader(out, protocol == Protocol::kResp3 ? '~' : '*', count);
}

void AppendPushHeader(std::string* out, Protocol protocol, size_t count) {
  AppendHeader(out, protocol == Protocol::kResp3 ? '>' : '*', count);
}

void AppendVerbatim(std::string* out, Protocol protocol, std::string_view format,
                    std::string_view text) {
  if (protocol == Protocol::kResp2) return AppendBulk(out, text);
  AppendHeader(out, '=', format.size() + 1 + text.size());
  out->append(format);
  out->push_back(':');
  out->append(text);
  out->append("\r\n");
}

void AppendNull(std::string* out, Protocol protocol) {
  out->append(protocol == Protocol::kResp3 ? "_\r\n" : "$-1\r\n");
}

void AppendNullArray(std::string* out, Protocol protocol) {
  out->append(protocol == Protocol::kResp3 ? "_\r\n" : "*-1\r\n");
}

}  // namespace rcproxy::resp
