"""Many clients with steady load while something goes wrong, and what they see of it.

    tally = Tally()
    crowd = Crowd([ProxyCaller(address) for _ in range(1000)], keys, affected, per_second=2000, tally=tally)
    asyncio.run(crowd.run(fault))

Each client has one key and writes and reads it in turn, at a pace of its own. One that waits for a reply skips its
turns. `affected` are the keys whose shard is struck.
"""

import asyncio
import collections
import socket

SLOW_S = 0.2  # A request that takes longer is not full service.

_CONNECTION_ERRORS = (OSError, EOFError, asyncio.TimeoutError)
_PASSING = ("TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN")


class ErrorReply(Exception):
    """The text of an error that a client was given."""


class Tally:
    """What all clients together saw between begin() and end()."""

    def __init__(self):
        self.requests = 0
        self.errors = collections.Counter()
        self.longest_gap_s = 0.0  # In which no request for an affected key succeeded.
        self.slowest_s = 0.0
        self._last_trouble_at = None
        self._last_success_at = None

    def begin(self, now):
        self.__init__()
        self._last_success_at = now

    def succeeded(self, began, ended, is_affected):
        self.requests += 1
        self.slowest_s = max(self.slowest_s, ended - began)
        if ended - began > SLOW_S:
            self._last_trouble_at = ended
        if is_affected and self._last_success_at is not None:
            self.longest_gap_s = max(self.longest_gap_s, ended - self._last_success_at)
            self._last_success_at = ended

    def failed(self, began, ended, what):
        self.requests += 1
        self.slowest_s = max(self.slowest_s, ended - began)
        self.errors[what] += 1
        self._last_trouble_at = ended

    def end(self, now):
        self.longest_gap_s = max(self.longest_gap_s, now - self._last_success_at)

    def trouble_after_s(self, moment):
        """How long after `moment` the last request ended that failed or was slow; 0 when none did."""
        return max(0.0, (self._last_trouble_at or moment) - moment)


async def read_reply(reader):
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    if kind == b"-":
        return ErrorReply(rest.decode(errors="replace"))
    if kind == b"$" and int(rest) >= 0:
        return (await reader.readexactly(int(rest) + 2))[:-2]
    if kind == b"*" and int(rest) >= 0:
        return [await read_reply(reader) for _ in range(int(rest))]
    return int(rest) if kind == b":" else rest


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Line:
    """One connection; opened when it is needed."""

    def __init__(self, address):
        self._host, _, self._port = address.rpartition(":")
        self._streams = None

    async def ask(self, *commands):
        """All in one write; their replies."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, int(self._port))
            connection = self._streams[1].get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader, writer = self._streams
        writer.write(b"".join(encode(*command) for command in commands))
        return [await read_reply(reader) for _ in commands]

    def close(self):
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


class ProxyCaller:
    """A client that knows of no cluster: asks, and takes what it gets."""

    def __init__(self, address, timeout_s):
        self._line = Line(address)
        self._timeout_s = timeout_s

    async def call(self, _slot, *command):
        try:
            reply = (await asyncio.wait_for(self._line.ask(command), self._timeout_s))[0]
        except _CONNECTION_ERRORS:
            self._line.close()
            raise
        if isinstance(reply, ErrorReply):
            raise reply
        return reply

    def close(self):
        self._line.close()


class ClusterCaller:
    """A client that knows the cluster, as simple as they come: it follows MOVED and ASK, and when a node does not
    answer, or cannot at the moment, it reads the map again and repeats the command, writes too, until its time is up.
    """

    _PAUSE_S = 0.05
    _ATTEMPT_S = 1.0  # Longest time for one reply, as libraries have it.

    def __init__(self, seeds, timeout_s):
        self._seeds = list(seeds)
        self._timeout_s = timeout_s
        self._owners = []  # (first slot, last slot, address)
        self._lines = {}

    async def call(self, slot, *command):
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._timeout_s
        target, asking, problem = None, False, "no owner"
        while clock() < deadline:
            if target is None:
                target = await self._owner(slot)
            try:
                reply = await self._ask(target, command, asking)
            except _CONNECTION_ERRORS as error:
                problem = type(error).__name__
                self._drop(target)
                target, asking = None, False
                await self._start_anew()
                continue
            if not isinstance(reply, ErrorReply):
                return reply
            problem, words = str(reply), str(reply).split(" ")
            asking = words[0] == "ASK"
            if words[0] == "MOVED":
                self._owners.insert(0, (slot, slot, words[2]))
            if words[0] in ("MOVED", "ASK"):
                target = words[2]
            elif words[0] in _PASSING:
                target = None
                await self._start_anew()
            else:
                raise reply
        raise ErrorReply(problem)

    def close(self):
        for line in self._lines.values():
            line.close()

    async def _ask(self, target, command, asking):
        line = self._lines.setdefault(target, Line(target))
        commands = (("ASKING",), command) if asking else (command,)
        return (await asyncio.wait_for(line.ask(*commands), self._ATTEMPT_S))[-1]

    def _drop(self, target):
        if target in self._lines:
            self._lines.pop(target).close()

    async def _start_anew(self):
        await asyncio.sleep(self._PAUSE_S)
        self._owners = []

    async def _owner(self, slot):
        """By the map; a seed when no map has the slot."""
        if not self._owners:
            await self._read_map()
        for first, last, address in self._owners:
            if first <= slot <= last:
                return address
        return self._seeds[0]

    async def _read_map(self):
        for _ in self._seeds:
            seed = self._seeds[0]
            self._seeds.append(self._seeds.pop(0))  # Another one next time.
            try:
                ranges = await self._ask(seed, ("CLUSTER", "SLOTS"), asking=False)
            except _CONNECTION_ERRORS:
                self._drop(seed)
                continue
            if not isinstance(ranges, ErrorReply):
                self._owners = [(first, last, f"{where[0].decode()}:{where[1]}") for first, last, where, *_ in ranges]
                return


class Crowd:
    """One caller per key."""

    def __init__(self, callers, keys, affected, per_second, tally):
        self._callers = callers
        self._keys = keys  # (key, slot)
        self._affected = affected
        self._pause_s = len(callers) / per_second
        self._tally = tally
        self._stopping = False

    async def run(self, fault, warm_up_s=2.0, settle_s=3.0):
        """Runs `fault`, which blocks, in a thread; returns what it returns."""
        loop = asyncio.get_running_loop()
        clients = [
            asyncio.create_task(self._client(index, caller, *key))
            for index, (caller, key) in enumerate(zip(self._callers, self._keys))
        ]
        await asyncio.sleep(warm_up_s)
        self._tally.begin(loop.time())
        try:
            found = await loop.run_in_executor(None, fault)
            await asyncio.sleep(settle_s)
            self._tally.end(loop.time())
        finally:
            self._stopping = True
            await asyncio.gather(*clients)
        return found

    async def _client(self, index, caller, key, slot):
        loop = asyncio.get_running_loop()
        turn_at = loop.time() + self._pause_s * index / len(self._callers)
        writes = True
        while not self._stopping:
            await asyncio.sleep(max(0.0, turn_at - loop.time()))
            began = loop.time()
            try:
                await caller.call(slot, *(("SET", key, index) if writes else ("GET", key)))
                self._tally.succeeded(began, loop.time(), key in self._affected)
            except ErrorReply as error:
                self._tally.failed(began, loop.time(), str(error))
            except _CONNECTION_ERRORS as error:
                self._tally.failed(began, loop.time(), f"{type(error).__name__}: the connection was lost")
            writes = not writes
            while turn_at <= loop.time():
                turn_at += self._pause_s
        caller.close()
