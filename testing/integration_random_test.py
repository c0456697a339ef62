"""Random commands, from seeds, through rcproxy before a cluster and to one standalone server of the same version: every
reply must be the same bytes, and the data at the end the same.

The same while the slots of all keys move: then one by one, since of commands in flight together one may be refused.

A seed says what is sent, in which protocol, and whether in pipelines. RCPROXY_TEST_SEED=N begins with another seed,
RCPROXY_TEST_ROUNDS=N runs more or fewer of them; a failure prints the command that repeats it.
"""

import contextlib
import os
import random
import threading
import unittest

from redis.crc import key_slot

from testing.command_grammar import COMPUTED, SPLIT, Generator, every_key
from testing.integration_base import BesideOneServerTest
from testing.resp_client import RespClient, encode
from testing.resp_frames import FrameClient, elements

FIRST_SEED = int(os.environ.get("RCPROXY_TEST_SEED", "1"))
ROUNDS = int(os.environ.get("RCPROXY_TEST_ROUNDS", "24"))
COMMANDS_PER_ROUND = 300
PIPELINE = 50

UNORDERED = {"KEYS", "SMEMBERS", "SINTER", "SUNION", "SDIFF", "HGETALL", "HKEYS", "HVALS", "SPOP", "SRANDMEMBER",
             "HRANDFIELD", "ZRANDMEMBER"}  # fmt: skip
OF_PAIRS = {"HGETALL"}

# Commands that are not called with any arguments, and why.
NOT_FROM_THE_TABLE = {
    "by chance": {"spop", "srandmember", "hrandfield", "zrandmember"},
    "cursors belong to who gave them": {"sscan", "hscan", "zscan"},
    "a time to live that may end meanwhile": {"expire", "pexpire", "setex", "psetex", "expireat", "pexpireat", "set",
                                              "getex", "restore", "restore-asking"},
    "time": {"object|idletime", "xpending", "xinfo|consumers", "xinfo|stream", "ttl", "pttl"},
    "memory": {"memory|usage"},
    "a cluster has one database, and says so first": {"move"},
    "changes the connection or moves keys to another server": {"migrate"},
    "newer servers take more arguments, see BY_DESIGN": {"zrank", "zrevrank"},
    "inside a transaction it is another error": {"watch"},
}  # fmt: skip


def _is_near(limit):
    def test(ours, theirs):
        return ours[:1] == theirs[:1] == b":" and abs(int(ours[1:]) - int(theirs[1:])) <= limit

    return test


# What is not asked while slots move, and why.
NOT_WHILE_SLOTS_MOVE = {
    "asks several nodes, at moments between which a key may move": {"KEYS", "DBSIZE", "FLUSHDB"},
    "a value that moves is encoded anew": {"OBJECT", "DUMP", "XINFO"},
}

# What differs by design: who it concerns, when it is so, and the reason.
BY_DESIGN = [
    (None, lambda ours, theirs: ours.startswith(b"-CROSSSLOT") and theirs.startswith(b"-"),
     "a cluster looks at the slots of the keys before it looks at the other arguments"),
    ({"TTL", "EXPIRETIME"}, _is_near(20), "time goes on between the two servers"),
    ({"PTTL", "PEXPIRETIME"}, _is_near(20_000), "time goes on between the two servers"),
    ({"ZRANK", "ZREVRANK"}, lambda ours, theirs: ours == b"+QUEUED\r\n" and b"wrong number of arguments" in theirs,
     "newer servers take more arguments; an older node refuses them when the transaction comes"),
    ({"DUMP"}, lambda ours, theirs: len(ours) == len(theirs), "a set has the order of the hash seed"),
]  # fmt: skip


def table_of(server, proxy):
    """(name, arity) of the commands with keys that both know and that answer at once."""
    served = {name.decode() for name in proxy.command("COMMAND", "LIST")}
    excluded = set().union(*NOT_FROM_THE_TABLE.values())
    found = []

    def collect(infos):
        for name, arity, flags, first_key, _, _, _, _, _, subcommands in infos:
            name = name.decode()
            has_keys = first_key > 0 or "movablekeys" in flags
            answers_at_once = not {"blocking", "admin", "pubsub"} & set(flags)
            if has_keys and answers_at_once and name in served - excluded:
                found.append((name, arity))
            collect(subcommands)

    collect(server.command("COMMAND"))
    return found


def normalised(command, frame):
    """The reply, in an order of its own where it has none."""
    name = command[0].upper()
    header, parts = elements(frame)
    if name not in UNORDERED or not parts:
        return frame
    if name in OF_PAIRS or (name in ("HRANDFIELD", "ZRANDMEMBER") and len(command) > 3 and parts[0][:1] != b"*"):
        parts = [a + b for a, b in zip(parts[::2], parts[1::2])]
    return header + b"".join(sorted(parts))


def is_same(command, ours, theirs):
    if normalised(command, ours) == normalised(command, theirs):
        return True
    name = command[0].upper()
    return any((names is None or name in names) and test(ours, theirs) for names, test, _ in BY_DESIGN)


class Round:
    """One seed: what is sent, and to whom."""

    def __init__(self, seed, server_address, proxy_address, table, moves=None):
        """`moves`: a lock that is held while slots move, in steps."""
        self.seed = seed
        self.protocol = 3 if seed % 2 else 2
        self.pipelined = moves is None and seed // 2 % 2 == 0
        self._at_rest = moves or contextlib.nullcontext()
        self._left_out = set().union(*NOT_WHILE_SLOTS_MOVE.values()) if moves else set()
        self._chance = random.Random(seed)
        self._generator = Generator(self._chance, table)
        self._key_finder = RespClient(server_address)
        self.clients = [FrameClient(proxy_address), FrameClient(server_address)]
        self._queued = []  # In the transaction under way.
        self.problem = None

    def close(self):
        for client in [self._key_finder, *self.clients]:
            client.close()

    def run(self):
        """Returns whether all replies and the data were the same; `problem` tells what was not."""
        for client in self.clients:
            with self._at_rest:
                client.command("FLUSHALL")
            if self.protocol == 3:
                client.command("HELLO", 3)
        if not self._run_commands():
            return False
        with self._at_rest:
            return self._compare_data()

    def _run_commands(self):
        sent = 0
        while sent < COMMANDS_PER_ROUND:
            batch = [command for unit in self._units() for command in unit]
            sent += len(batch)
            steps = [batch] if self.pipelined else [[command] for command in batch]
            if not all(self._exchange(step) for step in steps):
                return False
        return True

    def _units(self):
        """Commands and transactions that a cluster can execute."""
        units = []
        for _ in range(PIPELINE):
            is_transaction = self._chance.random() < 0.05
            units.append(self._generator.transaction() if is_transaction else [self._generator.command()])
        questions = [("COMMAND", "GETKEYS", *command) for unit in units for command in unit]
        answers = iter(self._key_finder.pipeline(questions))
        return [unit for unit in units if self._fits(unit, [next(answers) for _ in unit])]

    def _fits(self, unit, keys_of_commands):
        if any(command[0].upper() in self._left_out for command in unit):
            return False
        if len(unit) == 1 and unit[0][0].upper() in SPLIT | COMPUTED:
            return True
        slots = set()
        for command, keys in zip(unit, keys_of_commands):
            if command[0].upper() == "PFMERGE":  # Without a source GETKEYS calls it invalid.
                keys = [key.encode() for key in command[1:]]
            if isinstance(keys, list):
                slots |= {key_slot(key) for key in keys}
        return len(slots) <= 1

    def _exchange(self, commands):
        for client in self.clients:
            client.send(b"".join(encode(*command) for command in commands))
        replies = [[client.read_reply() for _ in commands] for client in self.clients]
        for command, ours, theirs in zip(commands, *replies):
            if command == ("MULTI",):
                self._queued = []
            elif ours == theirs == b"+QUEUED\r\n":
                self._queued.append(command)
            if not self._check(command, ours, theirs):
                return False
        return True

    def _check(self, command, ours, theirs):
        if command == ("EXEC",):
            our_parts, their_parts = elements(ours)[1], elements(theirs)[1]
            if len(our_parts) == len(their_parts) == len(self._queued) > 0:
                return all(self._check(*part) for part in zip(self._queued, our_parts, their_parts))
        if is_same(command, ours, theirs):
            return True
        self.problem = f"{command}\n  rcproxy: {ours!r}\n  server:  {theirs!r}"
        return False

    def _compare_data(self):
        readers = {b"+string\r\n": ("GET",), b"+list\r\n": ("LRANGE", 0, -1), b"+set\r\n": ("SMEMBERS",),
                   b"+hash\r\n": ("HGETALL",), b"+zset\r\n": ("ZRANGE", 0, -1, "WITHSCORES"),
                   b"+stream\r\n": ("XRANGE", "-", "+")}  # fmt: skip
        for key in every_key():
            kind = self.clients[1].command("TYPE", key)
            name, *arguments = readers.get(kind, ("TYPE",))
            if not self._exchange([("TYPE", key), (name, key, *arguments)]):
                return False
        return self._exchange([("KEYS", "*")])


class RandomTest(BesideOneServerTest):
    proxy_flags = {"workers": 2, "cross_slot": "compute"}

    def test_replies_are_those_of_one_server(self):
        self.run_rounds(ROUNDS)

    def test_also_while_slots_move(self):
        moves = threading.Lock()
        stop = threading.Event()
        mover = threading.Thread(target=self.move_slots, args=(moves, stop))
        mover.start()
        try:
            self.run_rounds(max(1, ROUNDS // 4), moves)
        finally:
            stop.set()
            mover.join()
        self.cluster.wait_until_ok()

    def move_slots(self, moves, stop):
        """The slots that have keys, each to another primary again and again."""
        chance = random.Random(FIRST_SEED)
        slots = sorted({key_slot(key.encode()) for key in every_key()})
        while not stop.is_set():
            slot = chance.choice(slots)
            source = next(node for node in self.cluster.primaries() if slot in set(self.cluster.slots_of(node)))
            target = chance.choice([node for node in self.cluster.primaries() if node is not source])
            with moves:
                self.cluster.migrate_slot(slot, source, target, pause_s=chance.choice([0, 0.002, 0.02]))
                self.cluster.wait_until_all_know(target)

    def run_rounds(self, rounds, moves=None):
        with RespClient(self.server.address) as server:
            table = table_of(server, self.client)
        self.assertGreater(len(table), 100)
        failed = []
        for seed in range(FIRST_SEED, FIRST_SEED + rounds):
            one = Round(seed, self.server.address, self.proxy.address, table, moves)
            try:
                if not one.run():
                    how = f"RESP{one.protocol}, {'pipelined' if one.pipelined else 'one by one'}"
                    repeat = (f"bazel test //testing:integration_random_test --test_env=RCPROXY_TEST_SEED={seed} "
                              "--test_env=RCPROXY_TEST_ROUNDS=1")  # fmt: skip
                    failed.append(f"seed {seed} ({how}): {one.problem}\n  repeat with: {repeat}")
            finally:
                one.close()
        print(f"{rounds} seeds from {FIRST_SEED} on, {rounds * COMMANDS_PER_ROUND} commands")
        self.assertEqual(failed, [], "\n".join(failed))


if __name__ == "__main__":
    unittest.main()
