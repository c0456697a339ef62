// Every command that rcproxy knows by itself: how it is routed and merged, what it does, where its
// keys are.
// Generated from the servers' own command data plus overrides with reasons (cluster/data,
// tools/gen_command_table.py); immutable. docs/COMMANDS.md shows the same rows.
//
// XREAD, XREADGROUP and TS.READ are kKeyed with kFlagBlocking: they block only with the BLOCK
// option, for which the router has to look. EVAL and its kind are kKeyed and may have no key: any
// primary.
//
// Per lookup: one hash of the lower-cased name (two 8-byte words for nearly all), one probe, one
// compare; no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace rcproxy::cluster {

// How a request finds its node(s). Where the words exist they are those of the servers' command
// tips.
enum class Route : uint8_t {
  kKeyed,         // All keys in one slot; else CROSSSLOT.
  kSplit,         // Keys may lie in several slots: one sub-command per slot, merged.
  kAnyPrimary,    // Keyless, any primary.
  kAllPrimaries,  // Every primary that owns slots.
  kAllNodes,      // Every node. The last one that GoesToNodes.
  kLocal,         // Answered by rcproxy.
  kContainer,     // The subcommand decides.
  kTransaction,   // MULTI, EXEC, DISCARD, WATCH, UNWATCH.
  kBlocking,      // Needs a connection of its own while it may block.
  kPubSub,        // SUBSCRIBE and friends.
  kNodeOnly,      // Makes sense for one named node only.
  kRefuse,        // Never available through a proxy.
};

// Whether the nodes answer it, over connections that clients share.
constexpr bool GoesToNodes(Route route) { return route <= Route::kAllNodes; }

// How the replies of several parts become one.
enum class Merge : uint8_t {
  kNone,
  kSum,       // Integers; any error is the answer.
  kAllOk,     // +OK when all are.
  kKeyOrder,  // Arrays, back in the order of the keys.
  kConcat,    // Arrays, joined.
  kFirst,     // Any one answer.
  kMin,
  kAnd,  // Per-element logical and (SCRIPT EXISTS).
  kSpecial,
};

enum CommandFlag : uint16_t {
  kFlagRead = 1 << 0,
  kFlagWrite = 1 << 1,
  kFlagBlocking = 1 << 2,
  kFlagAdmin = 1 << 3,
  kFlagPubSub = 1 << 4,
  kFlagNoMulti = 1 << 5,
  kFlagNoAuth = 1 << 6,     // Allowed before AUTH.
  kFlagReplicaOk = 1 << 7,  // A replica may serve it when the policy says so.
  kFlagMayReplicate = 1 << 8,
  kFlagModule = 1 << 9,
  kFlagDangerous = 1 << 10,
  kFlagIdempotent =
      1 << 11,  // Running it twice leaves the same data as once, at the later time, and gives the
                // same reply, so it may be sent again when the outcome is unknown: the read-only
                // commands, and with --retry_idempotent_writes the others. SET is unless an option
                // looks at what was there; DEL and HSET are not, since they count.
  kFlagNotYet = 1 << 12,      // Has a route, but rcproxy does not serve it yet: NotAvailableError.
  kFlagOperation = 1 << 13,   // Takes several questions to nodes, and code of its own.
  kFlagScriptBody = 1 << 14,  // Carries a script that a later EVALSHA may name.
};
// What an ordinary command has none of: its route says all that has to be done.
inline constexpr uint16_t kFlagsOfSpecialCommands =
    kFlagNotYet | kFlagBlocking | kFlagOperation | kFlagScriptBody;

// Keys that no spec describes are found by a parser for the command; KeySpec::index names it.
enum class MovableKeys : int8_t {
  kSort,       // SORT key ... STORE destination: anywhere, the last one counts.
  kMigrate,    // MIGRATE host port key | "" ... KEYS key ...
  kJsonDebug,  // JSON.DEBUG MEMORY key; other forms have no key.
};

// Where keys are, in the form of the servers' key specs.
struct KeySpec {
  enum class Begin : uint8_t { kNone, kIndex, kKeyword };
  enum class Find : uint8_t { kRange, kKeyNum, kMovable };
  Begin begin = Begin::kNone;
  Find find = Find::kRange;
  int8_t index = 0;  // kIndex: the argument; kKeyword: where the search starts (negative: from the
                     // end); kMovable: a MovableKeys.
  std::string_view keyword = {};  // kKeyword, upper case.
  int8_t last = 0;                // kRange: last key relative to the first, negative: from the end.
  int8_t step = 1;
  int8_t limit = 0;  // kRange with last -1: only 1/limit of the rest are keys (2 = half, XREAD).
  int8_t keynum_index = 0;  // kKeyNum: where the count is, relative to the begin;
  int8_t keynum_first = 0;  //          and where the first key is.
  bool is_channel = false;  // Hashes like a key but is a shard channel.

  bool operator==(const KeySpec&) const = default;
};

struct CommandSpec {
  std::string_view name;  // Lower case; a subcommand as "client|list".
  int16_t arity = 0;      // As the server counts it; negative: at least.
  Route route = Route::kRefuse;
  Merge merge = Merge::kNone;
  uint16_t flags = 0;
  uint16_t id = 0;  // Dense, subcommands included: 0 <= id < CommandIdCount(). For a command its
                    // index in AllCommands(). Unique but for LearntCommandId().
  std::span<const KeySpec> keys = {};
  std::span<const CommandSpec> subcommands = {};
  std::string_view group = {};
  std::string_view since = {};
  std::string_view note = {};  // What differs from one server, for the documents and errors.

  bool Has(CommandFlag flag) const { return (flags & flag) != 0; }
  bool ArityOk(size_t args) const {
    return arity >= 0 ? args == static_cast<size_t>(arity) : args >= static_cast<size_t>(-arity);
  }
};

// Returns nullptr for an unknown name. Case does not matter. `name` is any bytes of any length; no
// byte outside it is read.
const CommandSpec* FindCommand(std::string_view name);
// `name` is the second argument ("list"). A command other than a container may have subcommands
// too: COMMAND alone is a command.
const CommandSpec* FindSubcommand(const CommandSpec& container, std::string_view name);
// For a name that the caller knows to be in the table, as CommandSpec::name has it: "client|list".
const CommandSpec& CommandNamed(std::string_view name);
// The one with CommandSpec::id `id`, or nullptr; for LearntCommandId() one named "learnt". For cold
// paths.
const CommandSpec* CommandById(int id);
// All commands, sorted by name.
std::span<const CommandSpec> AllCommands();
// The id of every command that is not of this table (LearntCommands): whoever counts by id counts
// them together.
uint16_t LearntCommandId();
// One more than the largest id, for arrays of counters.
int CommandIdCount();

}  // namespace rcproxy::cluster
