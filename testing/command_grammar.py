"""Random commands, valid and not, from a grammar by data type and from a server's own table of commands.

A line of the grammar is a command with its arguments:

    <s>         a key, mostly of that type: s string, b bits, l list, t set, h hash, z sorted set, x stream,
                p HyperLogLog, g geo; k any
    <v> ...     other words: see Words
    #<z>        the number of keys, and the keys
    <v>+ <v>*   one to three, none to three
    [A:<v>|B]   none of these, or one; a colon stands for a blank
    (A|B)       one of these

The keys of one command share a slot unless it is one of SPLIT or COMPUTED.
"""

import re

_NOT_OF_A_SLOT = {"KEYS", "DBSIZE", "FLUSHDB", "CLIENT", "SELECT", "PUBLISH"}
_OF_CHANCE = {"SPOP", "SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER"}  # Unless all elements are asked for.
SPLIT = {"MGET", "MSET", "DEL", "UNLINK", "EXISTS", "TOUCH"}
COMPUTED = {"SUNION", "SINTER", "SDIFF", "SINTERCARD", "ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD", "PFCOUNT", "LCS"}

_TAGS = ["{a}", "{b}", "{c}"]  # Of three primaries when these share the slots evenly.
_KEYS_OF_A_TYPE = 2

GRAMMAR = """
SET <s> <v> [NX|XX|GET] [EXAT:<far>|PXAT:<farms>|KEEPTTL|EX:<long>]
GET <s>
GETDEL <s>
GETEX <s> [EXAT:<far>|PERSIST|PX:<long>|PXAT:<farms>]
GETSET <s> <v>
SETNX <s> <v>
SETEX <s> <long> <v>
PSETEX <s> <long> <v>
APPEND <s> <v>
STRLEN <s>
GETRANGE <s> <i> <i>
SUBSTR <s> <i> <i>
SETRANGE <s> <i> <v>
INCR <s>
DECR <s>
INCRBY <s> <i>
DECRBY <s> <i>
INCRBYFLOAT <s> <f>
MGET <k>+
MSET <s> <v> [<s>:<v>] [<s>:<v>]
MSETNX <s> <v> [<s>:<v>]
LCS <s> <s> [LEN|IDX|IDX:WITHMATCHLEN|IDX:MINMATCHLEN:<i>]
SETBIT <b> <bit> (0|1)
GETBIT <b> <bit>
BITCOUNT <b> [<i>:<i>|<i>:<i>:BIT|<i>:<i>:BYTE]
BITPOS <b> (0|1) [<i>|<i>:<i>|<i>:<i>:BIT]
BITOP (AND|OR|XOR) <b> <b>+
BITOP NOT <b> <b>
BITFIELD <b> [GET:u8:<i>] [SET:i5:<bit>:<i>] [OVERFLOW:(WRAP|SAT|FAIL)] [INCRBY:u4:<bit>:<i>]
BITFIELD_RO <b> GET u8 <i>
LPUSH <l> <v>+
RPUSH <l> <v>+
LPUSHX <l> <v>+
RPUSHX <l> <v>+
LPOP <l> [<n>]
RPOP <l> [<n>]
LLEN <l>
LRANGE <l> <i> <i>
LINDEX <l> <i>
LSET <l> <i> <v>
LINSERT <l> (BEFORE|AFTER) <v> <v>
LREM <l> <i> <v>
LTRIM <l> <i> <i>
LPOS <l> <v> [RANK:<i>] [COUNT:<i>] [MAXLEN:<i>]
LMOVE <l> <l> (LEFT|RIGHT) (LEFT|RIGHT)
RPOPLPUSH <l> <l>
LMPOP #<l> (LEFT|RIGHT) [COUNT:<i>]
BLPOP <l>+ <wait>
BRPOP <l>+ <wait>
BLMOVE <l> <l> LEFT RIGHT <wait>
BRPOPLPUSH <l> <l> <wait>
BLMPOP <wait> #<l> LEFT
BZPOPMIN <z>+ <wait>
BZPOPMAX <z>+ <wait>
BZMPOP <wait> #<z> (MIN|MAX)
SADD <t> <v>+
SREM <t> <v>+
SCARD <t>
SISMEMBER <t> <v>
SMISMEMBER <t> <v>+
SMEMBERS <t>
SMOVE <t> <t> <v>
SPOP <t> 1000
SRANDMEMBER <t> 1000
SINTER <t>+
SUNION <t>+
SDIFF <t>+
SINTERSTORE <t> <t>+
SUNIONSTORE <t> <t>+
SDIFFSTORE <t> <t>+
SINTERCARD #<t> [LIMIT:<i>]
HSET <h> <v> <v> [<v>:<v>]
HSETNX <h> <v> <v>
HMSET <h> <v> <v>
HGET <h> <v>
HMGET <h> <v>+
HGETALL <h>
HKEYS <h>
HVALS <h>
HLEN <h>
HSTRLEN <h> <v>
HEXISTS <h> <v>
HDEL <h> <v>+
HINCRBY <h> <v> <i>
HINCRBYFLOAT <h> <v> <f>
HRANDFIELD <h> 1000 [WITHVALUES]
ZADD <z> [NX|XX|GT|LT] [CH] <f> <v> [<f>:<v>]
ZADD <z> INCR <f> <v>
ZINCRBY <z> <f> <v>
ZREM <z> <v>+
ZCARD <z>
ZSCORE <z> <v>
ZMSCORE <z> <v>+
ZRANK <z> <v>
ZREVRANK <z> <v>
ZCOUNT <z> <score> <score>
ZLEXCOUNT <z> <lex> <lex>
ZRANGE <z> <i> <i> [REV] [WITHSCORES]
ZRANGE <z> <score> <score> BYSCORE [LIMIT:<i>:<i>] [WITHSCORES]
ZRANGE <z> <lex> <lex> BYLEX
ZRANGESTORE <z> <z> <i> <i>
ZREVRANGE <z> <i> <i> [WITHSCORES]
ZRANGEBYSCORE <z> <score> <score> [WITHSCORES] [LIMIT:<i>:<i>]
ZREVRANGEBYSCORE <z> <score> <score>
ZRANGEBYLEX <z> <lex> <lex>
ZREMRANGEBYRANK <z> <i> <i>
ZREMRANGEBYSCORE <z> <score> <score>
ZREMRANGEBYLEX <z> <lex> <lex>
ZPOPMIN <z> [<n>]
ZPOPMAX <z> [<n>]
ZMPOP #<z> (MIN|MAX) [COUNT:<i>]
ZUNION #<z> [AGGREGATE:(SUM|MIN|MAX)] [WITHSCORES]
ZINTER #<z> [WITHSCORES]
ZDIFF #<z> [WITHSCORES]
ZUNIONSTORE <z> #<z>
ZINTERSTORE <z> #<z> [AGGREGATE:MAX]
ZDIFFSTORE <z> #<z>
ZINTERCARD #<z> [LIMIT:<i>]
ZRANDMEMBER <z> 1000 [WITHSCORES]
XADD <x> [NOMKSTREAM] [MAXLEN:<n>] <id> <v> <v>
XLEN <x>
XRANGE <x> (-|<id>) (+|<id>) [COUNT:<i>]
XREVRANGE <x> (+|<id>) (-|<id>)
XDEL <x> <id>+
XTRIM <x> MAXLEN <i>
XREAD [COUNT:<i>] STREAMS <x> <id>
XREAD BLOCK 5 STREAMS <x> ($|<id>)
XGROUP CREATE <x> <group> (0|$|<id>) [MKSTREAM]
XGROUP DESTROY <x> <group>
XGROUP SETID <x> <group> <id>
XGROUP CREATECONSUMER <x> <group> <consumer>
XGROUP DELCONSUMER <x> <group> <consumer>
XREADGROUP GROUP <group> <consumer> [COUNT:<i>] [NOACK] STREAMS <x> (>|0)
XACK <x> <group> <id>+
XPENDING <x> <group>
XCLAIM <x> <group> <consumer> 0 <id> [JUSTID]
XAUTOCLAIM <x> <group> <consumer> 0 0 [JUSTID]
XSETID <x> <id>
XINFO STREAM <x>
XINFO GROUPS <x>
PFADD <p> <v>*
PFCOUNT <p>+
PFMERGE <p> <p>*
GEOADD <g> [NX|XX|CH] <lon> <lat> <v>
GEOPOS <g> <v>+
GEODIST <g> <v> <v> [km|m|ft]
GEOHASH <g> <v>+
GEOSEARCH <g> FROMLONLAT <lon> <lat> BYRADIUS <n> km ASC [WITHDIST] [WITHCOORD]
GEOSEARCHSTORE <g> <g> FROMLONLAT <lon> <lat> BYBOX 500 500 km ASC
GEORADIUS <g> <lon> <lat> 1000 km ASC [STORE:<g>]
DEL <k>+
UNLINK <k>+
EXISTS <k>+
TOUCH <k>+
TYPE <k>
RENAME <k> <k>
RENAMENX <k> <k>
COPY <k> <k> [REPLACE]
DUMP <s>
EXPIRE <k> (<long>|-1|0) [NX|XX|GT|LT]
PEXPIRE <k> <longms>
EXPIREAT <k> <far> [NX|GT]
PEXPIREAT <k> <farms>
EXPIRETIME <k>
PEXPIRETIME <k>
TTL <k>
PTTL <k>
PERSIST <k>
SORT (<l>|<t>|<z>) [LIMIT:<i>:<i>] [DESC] [ALPHA] [STORE:<l>]
SORT_RO <l> [ALPHA]
OBJECT ENCODING <k>
OBJECT REFCOUNT <k>
EVAL return{KEYS,ARGV} 2 <k> <k> <v>*
EVAL return(redis.call('GET',KEYS[1])) 1 <k>
EVAL return(redis.call('SET',KEYS[1],ARGV[1])) 1 <s> <v>
EVAL return(redis.pcall('INCR',KEYS[1])) 1 <k>
EVAL_RO return(redis.call('TYPE',KEYS[1])) 1 <k>
EVAL return(redis.call('NOSUCH')) 1 <k>
EVAL return(ARGV[1]) 0 <v>
EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 <k>
FCALL nosuch 1 <k>
KEYS *
KEYS {a}*
DBSIZE
PING
PING <v>
ECHO <v>
SELECT 0
PUBLISH channel <v>
CLIENT SETNAME name
CLIENT GETNAME
FLUSHDB
NOSUCHCOMMAND <v>*
"""


class Words:
    """What stands in < >, by its name; the keys have one tag of `tags` each."""

    _POOLS = {
        "v": ["", "a", "b", "c", "hello", "1", "2", "10", "3.5", "-7", "a b", "\r\n", "\0", "x" * 100],
        "i": ["0", "1", "-1", "2", "3", "-3", "100", "5"],
        "n": ["0", "1", "2", "10"],
        "f": ["0", "1", "-1", "2.5", "1e3", "-0.1", "inf", "-inf", "3"],
        "bit": ["0", "1", "7", "8", "100"],
        "score": ["-inf", "+inf", "0", "1", "(1", "(2.5", "100"],
        "lex": ["-", "+", "[a", "(a", "[b", "(hello"],
        "far": ["33177117420", "33177117421"],
        "farms": ["33177117420000", "33177117421000"],
        "long": ["100000000", "200000000"],
        "longms": ["100000000000"],
        "wait": ["0.01", "0.001"],
        "id": ["1-1", "1-2", "2-1", "3-0", "3", "0", "5-5"],
        "group": ["g1", "g2"],
        "consumer": ["c1", "c2"],
        "lon": ["13.361389", "15.087269", "0", "14"],
        "lat": ["38.115556", "37.502669", "0"],
    }

    def __init__(self, chance, tags):
        self._chance = chance
        self._tags = tags

    def pick(self, name):
        if len(name) == 1 and name in "sblthzxpgk":
            return self._key(name)
        return self._chance.choice(self._POOLS[name])

    def _key(self, kind):
        if kind == "k" or self._chance.random() < 0.05:
            kind = self._chance.choice("sblthzxpg")
        return f"{self._chance.choice(self._tags)}{kind}{self._chance.randrange(_KEYS_OF_A_TYPE)}"


def every_key():
    return [f"{tag}{kind}{index}" for tag in _TAGS for kind in "sblthzxpg" for index in range(_KEYS_OF_A_TYPE)]


class Generator:
    """Commands from one source of chance: the same seed gives the same commands."""

    # Nothing here is a short time to live, or a number that makes a value huge.
    _GARBAGE = ["", "x", "-1", "0", "nan", "1.5", "9223372036854775807", "-9223372036854775809", "NX", "\0\r\n", "+inf"]

    def __init__(self, chance, table=()):
        """`table`: names and arities (as COMMAND has them) of commands that are called with any arguments."""
        self._chance = chance
        self._lines = [line for line in GRAMMAR.strip().split("\n")]
        self._table = sorted(table)

    def command(self, tag=None):
        """A tuple of words. All keys have the tag, or one of its own choice."""
        if self._table and self._chance.random() < 0.1:
            return self._any_arguments(tag)
        line = self._chance.choice(self._lines)
        spreads = tag is None and line.split()[0] in SPLIT | COMPUTED
        words = Words(self._chance, _TAGS if spreads else [tag or self._chance.choice(_TAGS)])
        command = [word for part in line.split() for word in self._expand(part, words)]
        if self._chance.random() < 0.12:
            self._spoil(command)
        return tuple(command)

    def transaction(self):
        """MULTI, some commands of one slot, EXEC or DISCARD."""
        tag = self._chance.choice(_TAGS)
        commands = [self.command(tag) for _ in range(self._chance.randint(0, 5))]
        commands = [command for command in commands if command[0].upper() not in _NOT_OF_A_SLOT]
        return [("MULTI",), *commands, ("EXEC",) if self._chance.random() < 0.9 else ("DISCARD",)]

    def _expand(self, part, words):
        match = re.fullmatch(r"#<(\w+)>", part)
        if match:
            keys = [words.pick(match[1]) for _ in range(self._chance.randint(1, 3))]
            return [str(len(keys)), *keys]
        match = re.fullmatch(r"<(\w+)>([+*]?)", part)
        if match:
            least = 0 if match[2] == "*" else 1
            count = self._chance.randint(least, 3) if match[2] else 1
            return [words.pick(match[1]) for _ in range(count)]
        if part[0] in "[(" and len(part) > 1:
            if part[0] == "[" and self._chance.random() < 0.6:
                return []
            chosen = self._chance.choice(_alternatives(part[1:-1]))
            return [word for piece in chosen.split(":") for word in self._expand(piece, words)]
        return [part]

    def _spoil(self, command):
        """Makes it wrong, probably."""
        if command[0] in _OF_CHANCE:
            return
        waits = command[0].startswith("B") and command[0] not in ("BITCOUNT", "BITPOS", "BITOP")
        at = self._chance.randrange(1, len(command)) if len(command) > 1 else None
        kind = self._chance.randrange(5)
        if kind == 0:
            command.append(self._chance.choice(self._GARBAGE))
        elif kind == 1 and at is not None:
            del command[at]
        elif kind == 2 and at is not None and not waits and "BLOCK" not in command:
            command[at] = self._chance.choice(self._GARBAGE)
        elif kind == 3 and at is not None:
            command.insert(at, command[at])
        else:
            command[0] = command[0].lower()

    def _any_arguments(self, tag):
        name, arity = self._chance.choice(self._table)
        words = Words(self._chance, [tag or self._chance.choice(_TAGS)])
        command = name.upper().split("|")
        count = max(0, abs(arity) - len(command) + self._chance.choice([-1, 0, 0, 0, 0, 1, 2]))
        for _ in range(count):
            command.append(words.pick(self._chance.choice(["k", "k", "k", "v", "i", "f", "score", "id", "bit", "lex"])))
        return tuple(command)


def _alternatives(text):
    """Splits at each "|" outside parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
