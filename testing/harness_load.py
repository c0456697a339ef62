"""Load that checks what it reads: writers and readers that know what every reply has to be.

Each thread has one connection and keys of its own, so it can tell for every key which values are possible: one
after an acknowledged write, one more for each write that was answered with an error (its outcome is unknown).
Requests go out in pipelines; replies must come in their order. A value names its key, so a reply that belongs
to another request is recognised as such.
"""

import collections
import itertools
import random
import threading
import time

from testing.resp_client import Disconnected, RespClient, RespError, encode


class Report:
    """What the threads saw. `errors`: text to count; `wrong` and `disconnects` have to be empty."""

    def __init__(self):
        self.requests = 0
        self.errors = collections.Counter()
        self.last_error_at = 0.0
        self.lost_writes = 0
        self.wrong = []
        self.disconnects = []

    def add(self, other):
        self.requests += other.requests
        self.errors.update(other.errors)
        self.last_error_at = max(self.last_error_at, other.last_error_at)
        self.lost_writes += other.lost_writes
        self.wrong += other.wrong
        self.disconnects += other.disconnects

    def problems(self, allow_errors=False):
        """Why this run is not clean, in few words; empty if it is."""
        found = [f"{len(self.wrong)} wrong: {self.wrong[:3]}"] if self.wrong else []
        found += [f"{len(self.disconnects)} disconnects: {self.disconnects[:3]}"] if self.disconnects else []
        if self.errors and not allow_errors:
            found.append(f"{sum(self.errors.values())} errors: {dict(self.errors.most_common(5))}")
        return found

    def __str__(self):
        return (f"{self.requests} requests, {sum(self.errors.values())} errors {dict(self.errors.most_common(5))}, "
                f"{len(self.wrong)} wrong {self.wrong[:3]}, {self.lost_writes} lost writes, "
                f"disconnects {self.disconnects[:3]}")


class _Keys:
    """What is known of each key. With may_lose, the newest writes may vanish (asynchronous replication)."""

    def __init__(self, report):
        self.possible = collections.defaultdict(lambda: {None})
        self.may_lose = False
        self._report = report

    def wrote(self, key, value):
        self.possible[key] = {value}

    def may_have_written(self, key, value):
        self.possible[key].add(value)

    def read(self, key, value, what):
        if value in self.possible[key]:
            self.possible[key] = {value}
        elif self.may_lose and (value is None or value.startswith(key + b"=")):
            self._report.lost_writes += 1
            self.possible[key] = {value}
        else:
            self._report.wrong.append(f"{what} gave {value!r} for {key!r}, possible: {self.possible[key]}")


class _Worker(threading.Thread):
    def __init__(self, address, name, seed, keys, depth):
        super().__init__(daemon=True, name=name)
        self.report = Report()
        self.keys = _Keys(self.report)
        self.stop_asked = threading.Event()
        self._address = address
        self._random = random.Random(seed)
        # A third of the keys share hash tags, for requests with several keys in one slot.
        self._names = [
            (f"{{{name}:{i % 7}}}:{i}" if i % 3 == 0 else f"{name}:{i}").encode() for i in range(keys)
        ]
        self._depth = depth
        self._serial = 0

    def run(self):
        while not self.stop_asked.is_set():
            try:
                with RespClient(self._address, timeout_s=60) as client:
                    while not self.stop_asked.is_set():
                        self._one_pipeline(client)
            except (Disconnected, OSError) as error:
                self.report.disconnects.append(f"{self.name}: {error!r}")
                time.sleep(0.1)
            except Exception as error:  # A reply that is no reply: the stream is out of step.
                self.report.wrong.append(f"{self.name}: {error!r}")

    def read_all(self, address):
        """Reads every key once more, from wherever `address` is."""
        with RespClient(address, timeout_s=60) as client:
            for key in self._names:
                self._check_get(key, client.command("GET", key))

    def _one_pipeline(self, client):
        requests = [self._pick() for _ in range(self._random.randint(1, self._depth))]
        client.send(b"".join(encode(*arguments) for arguments, _ in requests))
        # Until its reply is read, each write of the pipeline may have happened; an exception leaves it so.
        done = 0
        try:
            for arguments, check in requests:
                reply = client.read_reply()
                done += 1
                self.report.requests += 1
                if isinstance(reply, RespError):
                    self._note_error(reply)
                check(reply)
        finally:
            for _, check in requests[done:]:
                check(RespError("no reply"))

    def _note_error(self, reply):
        self.report.errors[reply.text] += 1
        self.report.last_error_at = time.monotonic()

    def _pick(self):
        kind = self._random.random()
        key = self._random.choice(self._names)
        if kind < 0.35:
            value = self._new_value(key)
            return ("SET", key, value), lambda reply: self._check_write({key: value}, reply, "SET")
        if kind < 0.75:
            return ("GET", key), lambda reply: self._check_get(key, reply)
        if kind < 0.80:
            return ("DEL", key), lambda reply: self._check_delete(key, reply)
        keys = self._random.choices(self._names, k=self._random.randint(2, 8))
        if kind < 0.90:
            return ("MGET", *keys), lambda reply: self._check_mget(keys, reply)
        pairs = {key: self._new_value(key) for key in keys}
        flat = [part for pair in pairs.items() for part in pair]
        return ("MSET", *flat), lambda reply: self._check_write(pairs, reply, "MSET")

    def _new_value(self, key):
        self._serial += 1
        return key + b"=%d" % self._serial + b"x" * self._random.choice((0, 10, 300))

    def _check_write(self, pairs, reply, what):
        for key, value in pairs.items():
            if reply == "OK":
                self.keys.wrote(key, value)
            else:
                self.keys.may_have_written(key, value)
        if reply != "OK" and not isinstance(reply, RespError):
            self.report.wrong.append(f"{what} gave {reply!r}")

    def _check_get(self, key, reply):
        if isinstance(reply, RespError):
            return
        if reply is not None and not isinstance(reply, bytes):
            self.report.wrong.append(f"GET {key!r} gave {reply!r}")
            return
        self.keys.read(key, reply, "GET")

    def _check_delete(self, key, reply):
        possible = self.keys.possible[key]
        if isinstance(reply, RespError):
            self.keys.may_have_written(key, None)
            return
        allowed = {int(value is not None) for value in possible} | ({0, 1} if self.keys.may_lose else set())
        if reply not in allowed:
            self.report.wrong.append(f"DEL {key!r} gave {reply!r}, possible before: {possible}")
        self.keys.wrote(key, None)

    def _check_mget(self, keys, reply):
        if isinstance(reply, RespError):
            return
        if not isinstance(reply, list) or len(reply) != len(keys):
            self.report.wrong.append(f"MGET of {len(keys)} keys gave {reply!r}")
            return
        for key, value in zip(keys, reply):
            self.keys.read(key, value, "MGET")


class Load:
    """Several workers against one address. start(), then stop() for the Report. No two share a key."""

    _serials = itertools.count()

    def __init__(self, address, threads=4, keys=200, depth=20, seed=1, prefix="load"):
        self.address = address
        prefix = f"{prefix}.{next(self._serials)}"
        self._workers = [
            _Worker(address, f"{prefix}.{index}", seed * 1000 + index, keys, depth) for index in range(threads)
        ]

    def start(self):
        for worker in self._workers:
            worker.start()
        return self

    def may_lose(self, yes=True):
        """From now on a primary may die: acknowledged writes that were not replicated may vanish."""
        for worker in self._workers:
            worker.keys.may_lose = yes

    def snapshot(self):
        """A Report of the moment; the threads go on."""
        report = Report()
        for worker in self._workers:
            report.add(worker.report)
        return report

    def stop(self, read_all=True):
        for worker in self._workers:
            worker.stop_asked.set()
        for worker in self._workers:
            worker.join(90)
            if worker.is_alive():
                worker.report.wrong.append(f"{worker.name} still waits for a reply")
            elif read_all:
                worker.read_all(self.address)
        return self.snapshot()
