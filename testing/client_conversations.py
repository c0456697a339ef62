"""Conversations of several clients by chance, for client_scripts.play: transactions, watched keys, commands that wait,
subscriptions. The same source of chance gives the same conversation.

What a step does must show at once, to somebody: replies are only switched off for the length of one write. Nothing
that needs the order of two clients who go on at the same time: behind a command that waits there is nothing else to
see. In a transaction, only what a transaction may have through rcproxy.
"""

from testing.client_scripts import Step

_CLIENTS = 4
_KEYS = ["{t}a", "{t}b"]
_LISTS = ["{t}l", "{t}m"]
_CHANNELS = ["c", "cc", "d"]
_PATTERNS = ["c*", "*", "d?"]
_SHARD_CHANNELS = ["{t}c", "{s}d"]

# By weight. K, L, C, P, S stand for a key, a list, a channel, a pattern, a shard channel.
_STEPS = """
6 SET K 1
6 INCR K
4 GET K
2 DEL K
2 APPEND K x
1 HELLO 3
1 HELLO 2
4 MULTI
6 EXEC
2 DISCARD
4 WATCH K
1 WATCH K K
1 UNWATCH
2 MULTI | INCR K | GET K | EXEC
1 MULTI | RPUSH L x | LPOP L | EXEC
1 MULTI | BLPOP L 0 | EXEC
1 MULTI | NOSUCH | EXEC
1 MULTI | SET K
6 RPUSH L a
3 RPUSH L a b c
2 LRANGE L 0 -1
4 BLPOP L 0
2 BRPOP L L 0
2 BLMOVE L L LEFT RIGHT 0
2 BLMPOP 0 1 L LEFT COUNT 2
1 BLPOP L 0 | PING
1 BLPOP K 0
3 CLIENT UNBLOCK @N
1 CLIENT UNBLOCK @N ERROR
5 SUBSCRIBE C
2 SUBSCRIBE C C
3 PSUBSCRIBE P
3 SSUBSCRIBE S
2 UNSUBSCRIBE C
1 UNSUBSCRIBE
2 PUNSUBSCRIBE P
1 PUNSUBSCRIBE
2 SUNSUBSCRIBE S
1 SUNSUBSCRIBE
10 PUBLISH C text
6 SPUBLISH S text
3 PING
1 PING text
1 PING a b
1 ECHO x
2 RESET
1 QUIT
1 NOSUCH
1 GET
1 CLIENT REPLY OFF | INCR K | PING | CLIENT REPLY ON
1 CLIENT REPLY SKIP | INCR K | PING
1 CLIENT KILL ID @N
1 CLIENT KILL TYPE pubsub
"""


# What a transaction may have of these, and how it ends.
_IN_TRANSACTION = {"SET", "INCR", "GET", "DEL", "APPEND", "MULTI", "WATCH", "UNWATCH", "RPUSH", "LRANGE", "BLPOP",
                   "BRPOP", "BLMOVE", "BLMPOP", "PING", "ECHO", "NOSUCH"}  # fmt: skip
_ENDS_TRANSACTION = {"EXEC", "DISCARD", "RESET", "QUIT"}


class Conversation:
    def __init__(self, chance):
        self._chance = chance
        lines = [line.split(" ", 1) for line in _STEPS.strip().split("\n")]
        self._lines = [line for _, line in lines]
        self._weights = [int(weight) for weight, _ in lines]
        self._in_transaction = set()  # Clients that may have one.

    def steps(self, count):
        return [self._step() for _ in range(count)]

    def _step(self):
        client = self._chance.randint(1, _CLIENTS)
        if self._chance.random() < 0.04:
            self._in_transaction.discard(client)
            return Step(client, "leaves")
        commands = self._commands(client)
        for name in (command[0] for command in commands):
            if name == "MULTI":
                self._in_transaction.add(client)
            elif name in _ENDS_TRANSACTION:
                self._in_transaction.discard(client)
        return Step(client, ">", commands)

    def _commands(self, client):
        while True:
            line = self._chance.choices(self._lines, self._weights)[0]
            parts = [part.split() for part in line.split(" | ")]
            names = {part[0] for part in parts}
            if client not in self._in_transaction or names <= _IN_TRANSACTION | _ENDS_TRANSACTION:
                return [tuple(map(self._word, part)) for part in parts]

    def _word(self, word):
        pools = {"K": _KEYS, "L": _LISTS, "C": _CHANNELS, "P": _PATTERNS, "S": _SHARD_CHANNELS}
        if word == "@N":
            return f"@{self._chance.randint(1, _CLIENTS)}"
        return self._chance.choice(pools[word]) if word in pools else word
