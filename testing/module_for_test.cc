// A module for redis-server, with commands that no proxy has heard of. Tests only.
//
// Declares what it needs of the server's module interface itself, as the interface is documented:
// the server calls RedisModule_OnLoad, and gives its functions by name through the first word of
// the context. Thread: the server's.
#include <cstddef>
#include <cstdint>

namespace {

struct Context;
struct String;
struct Reply;
struct Command;

constexpr int kOk = 0;
constexpr int kError = 1;

using Function = int (*)(Context*, String** arguments, int count);

Reply* (*call)(Context*, const char* command, const char* format, ...);
void (*free_reply)(Reply*);
int (*reply_with)(Context*, Reply*);
int (*wrong_arity)(Context*);
int (*create_command)(Context*, const char* name, Function, const char* flags, int first, int last,
                      int step);
Command* (*get_command)(Context*, const char* name);
void (*set_module_attributes)(Context*, const char* name, int version, int api_version);

struct KeySpec {
  const char* notes;
  uint64_t flags;
  int begin_type;
  union {
    int index;
    struct {
      const char* word;
      int start;
    } keyword;
  } begin;
  int find_type;
  struct {
    int count_index;
    int first;
    int step;
  } find;
};

struct Version {
  int version;
  size_t history_bytes;
  size_t key_spec_bytes;
  size_t argument_bytes;
};

struct CommandInfo {
  const Version* version;
  const char* summary;
  const char* complexity;
  const char* since;
  void* history;
  const char* tips;
  int arity;
  const KeySpec* key_specs;  // Ended by one of zeros.
  void* arguments;
};

int (*set_command_info)(Command*, const CommandInfo*);

int Answer(Context* context, Reply* reply) {
  const int result = reply_with(context, reply);
  free_reply(reply);
  return result;
}

int Set(Context* context, String** arguments, int count) {
  if (count != 3) return wrong_arity(context);
  return Answer(context, call(context, "SET", "!ss", arguments[1], arguments[2]));
}

int Get(Context* context, String** arguments, int count) {
  if (count != 2) return wrong_arity(context);
  return Answer(context, call(context, "GET", "s", arguments[1]));
}

int Rename(Context* context, String** arguments, int count) {
  if (count != 3) return wrong_arity(context);
  return Answer(context, call(context, "RENAME", "!ss", arguments[1], arguments[2]));
}

int Delete(Context* context, String** arguments, int count) {
  return Answer(context, call(context, "DEL", "!v", arguments + 1, static_cast<size_t>(count - 1)));
}

// rctest.exist numkeys key ...
int Exist(Context* context, String** arguments, int count) {
  if (count < 3) return wrong_arity(context);
  return Answer(context,
                call(context, "EXISTS", "v", arguments + 2, static_cast<size_t>(count - 2)));
}

int Size(Context* context, String**, int) { return Answer(context, call(context, "DBSIZE", "")); }

int Ping(Context* context, String**, int) { return Answer(context, call(context, "PING", "")); }

bool Describe(Context* context, const char* name, const CommandInfo& info) {
  return set_command_info(get_command(context, name), &info) == kOk;
}

bool DescribeAll(Context* context) {
  constexpr uint64_t kReadAccess = 1 << 0 | 1 << 4;
  constexpr int kBeginAtIndex = 2;
  constexpr int kFindByCount = 3;
  static constexpr Version kVersion = {1, 2 * sizeof(void*), sizeof(KeySpec), 10 * sizeof(void*)};
  static constexpr KeySpec kCounted[] = {
      {nullptr, kReadAccess, kBeginAtIndex, {.index = 1}, kFindByCount, {0, 1, 1}}, {}};
  CommandInfo info = {};
  info.version = &kVersion;
  info.tips = "request_policy:multi_shard response_policy:agg_sum";
  if (!Describe(context, "rctest.del", info)) return false;
  info.tips = "request_policy:all_shards response_policy:agg_sum";
  if (!Describe(context, "rctest.size", info)) return false;
  info.tips = nullptr;
  info.arity = -3;
  info.key_specs = kCounted;
  return Describe(context, "rctest.exist", info);
}

bool CreateAll(Context* context) {
  const struct {
    const char* name;
    Function function;
    const char* flags;
    int first;
    int last;
    int step;
  } commands[] = {
      {"rctest.set", Set, "write deny-oom", 1, 1, 1},
      {"rctest.get", Get, "readonly fast", 1, 1, 1},
      {"rctest.rename", Rename, "write", 1, 2, 1},
      {"rctest.del", Delete, "write", 1, -1, 1},
      {"rctest.exist", Exist, "readonly", 0, 0, 0},
      {"rctest.size", Size, "readonly", 0, 0, 0},
      {"rctest.ping", Ping, "readonly", 0, 0, 0},
      {"rctest.movable", Get, "write getkeys-api", 1, 1, 1},
      {"rctest.admin", Ping, "admin", 0, 0, 0},
  };
  for (const auto& command : commands) {
    if (create_command(context, command.name, command.function, command.flags, command.first,
                       command.last, command.step) != kOk) {
      return false;
    }
  }
  return true;
}

}  // namespace

extern "C" int RedisModule_OnLoad(Context* context, String**, int) {
  using GetFunction = int (*)(const char* name, void* function);
  const auto get_function = *reinterpret_cast<GetFunction*>(context);
  const struct {
    const char* name;
    void* function;
  } functions[] = {
      {"RedisModule_Call", &call},
      {"RedisModule_FreeCallReply", &free_reply},
      {"RedisModule_ReplyWithCallReply", &reply_with},
      {"RedisModule_WrongArity", &wrong_arity},
      {"RedisModule_CreateCommand", &create_command},
      {"RedisModule_GetCommand", &get_command},
      {"RedisModule_SetCommandInfo", &set_command_info},
      {"RedisModule_SetModuleAttribs", &set_module_attributes},
  };
  for (const auto& wanted : functions) {
    if (get_function(wanted.name, wanted.function) != kOk) return kError;
  }
  set_module_attributes(context, "rctest", 1, 1);
  return CreateAll(context) && DescribeAll(context) ? kOk : kError;
}
