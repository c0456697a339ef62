#include "proxy/tracking/tracking_text.h"

#include "resp/request_scanner.h"

namespace rcproxy::proxy {

namespace {

constexpr std::string_view kPush = ">2\r\n$10\r\ninvalidate\r\n";
constexpr std::string_view kMessage = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";
constexpr std::string_view kNullInResp2 = "$-1\r\n";
constexpr std::string_view kNullInResp3 = "_\r\n";

}  // namespace

bool ParseInvalidation(std::string_view push, std::vector<std::string_view>* keys) {
  keys->clear();
  if (!push.starts_with(kPush)) return false;
  push.remove_prefix(kPush.size());
  if (push == kNullInResp3) return true;
  if (!push.starts_with('*')) return false;
  resp::RequestScanner scanner;  // An array of strings, as a command is.
  if (scanner.Scan(push, resp::kDefaultRequestLimits) != resp::ScanStatus::kCommand) return false;
  for (size_t i = 0; i < scanner.command().size(); ++i) keys->push_back(scanner.command()[i]);
  return true;
}

std::string InvalidationText(resp::Protocol protocol, ChangedKeys keys) {
  const bool in_resp3 = protocol == resp::Protocol::kResp3;
  std::string text(in_resp3 ? kPush : kMessage);
  if (keys.empty()) return text.append(in_resp3 ? kNullInResp3 : kNullInResp2);
  resp::AppendArrayHeader(&text, keys.size());
  for (const std::string_view key : keys) resp::AppendBulk(&text, key);
  return text;
}

std::string BrokenRedirectText(int64_t target) {
  std::string text;
  resp::AppendPushHeader(&text, resp::Protocol::kResp3, 2);
  resp::AppendBulk(&text, "tracking-redir-broken");
  resp::AppendInteger(&text, target);
  return text;
}

}  // namespace rcproxy::proxy
