#include "proxy/tracking/own_change.h"

#include <algorithm>
#include <charconv>

namespace rcproxy::proxy {

namespace {

// The reply that a command gives only when all its keys have changed.
enum class Proof : uint8_t {
  kOk,
  kBulk,     // Not null.
  kInteger,  // Any.
  kPositive,
  kAllKeys,  // As many as there are keys, and nothing else behind the command's name.
};

struct Rule {
  std::string_view name;
  Proof proof;
};

// By name.
constexpr Rule kRules[] = {
    {"append", Proof::kInteger},
    {"decr", Proof::kInteger},
    {"decrby", Proof::kInteger},
    {"del", Proof::kAllKeys},
    {"expire", Proof::kPositive},
    {"expireat", Proof::kPositive},
    {"getdel", Proof::kBulk},
    {"getset", Proof::kBulk},
    {"hdel", Proof::kPositive},
    {"hincrby", Proof::kInteger},
    {"hincrbyfloat", Proof::kBulk},
    {"hmset", Proof::kOk},
    {"hset", Proof::kInteger},
    {"hsetnx", Proof::kPositive},
    {"incr", Proof::kInteger},
    {"incrby", Proof::kInteger},
    {"incrbyfloat", Proof::kBulk},
    {"lpush", Proof::kInteger},
    {"lpushx", Proof::kPositive},
    {"lrem", Proof::kPositive},
    {"lset", Proof::kOk},
    {"mset", Proof::kOk},
    {"msetnx", Proof::kPositive},
    {"pexpire", Proof::kPositive},
    {"pexpireat", Proof::kPositive},
    {"psetex", Proof::kOk},
    {"rpush", Proof::kInteger},
    {"rpushx", Proof::kPositive},
    {"sadd", Proof::kPositive},
    {"set", Proof::kOk},  // Null when NX or XX forbids it, bulk or null with GET.
    {"setex", Proof::kOk},
    {"setnx", Proof::kPositive},
    {"srem", Proof::kPositive},
    {"unlink", Proof::kAllKeys},
    {"zadd", Proof::kPositive},
    {"zrem", Proof::kPositive},
};
static_assert(std::ranges::is_sorted(kRules, {}, &Rule::name));

// -1: it is none, or none that can be.
int64_t NonNegative(std::string_view reply) {
  int64_t value = -1;
  if (reply.starts_with(':')) std::from_chars(reply.data() + 1, reply.data() + reply.size(), value);
  return value;
}

}  // namespace

bool HasChangedItsKeys(const cluster::CommandSpec& spec, const resp::CommandView& command,
                       std::string_view reply) {
  const Rule* rule = std::ranges::lower_bound(kRules, spec.name, {}, &Rule::name);
  if (rule == std::ranges::end(kRules) || rule->name != spec.name) return false;
  switch (rule->proof) {
    case Proof::kOk:
      return reply == "+OK\r\n";
    case Proof::kBulk:
      return reply.starts_with('$') && !reply.starts_with("$-");
    case Proof::kInteger:
      return reply.starts_with(':');
    case Proof::kPositive:
      return NonNegative(reply) > 0;
    case Proof::kAllKeys:
      return NonNegative(reply) == static_cast<int64_t>(command.size()) - 1;
  }
  return false;
}

}  // namespace rcproxy::proxy
