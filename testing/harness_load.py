"""Load that checks what it reads: clients that know what every reply has to be (testing/harness_model.py).

Each thread has one connection, every second one in RESP3, and keys of its own. Requests go out in pipelines; replies
must come in their order. A value names its key, so a reply that belongs to another request is recognised as such. Reads
have to show the newest writes: for an rcproxy that reads from replicas they do not.
"""

import collections
import itertools
import random
import threading
import time

from testing.harness_model import Counter, LossWindow, Tokens, Value
from testing.resp_client import Disconnected, RespClient, RespError, encode

# A key that was written so often is left as it is until the end, and another takes its place.
_WRITES_PER_KEY = 40
_WRONG_KEPT = 100
_READ_AT_ONCE = 50
_NO_REPLY = RespError("no reply")


class Report:
    """What the threads saw. `errors`: text to count; `wrong` and `disconnects` have to be empty, and of `losses` no
    window may be missing that excuses them."""

    def __init__(self):
        self.requests = 0
        self.errors = collections.Counter()
        self.last_error_at = 0.0
        self.losses = []
        self.wrong = []
        self.disconnects = []
        self.windows = []

    def add(self, other):
        self.requests += other.requests
        self.errors.update(other.errors)
        self.last_error_at = max(self.last_error_at, other.last_error_at)
        self.losses += other.losses
        self.wrong += other.wrong
        self.disconnects += other.disconnects

    @property
    def lost_writes(self):
        """Excused or not."""
        return sum(loss.count for loss in self.losses)

    def unexcused(self):
        return [loss.text for loss in self.losses if not loss.is_excused(self.windows)]

    def problems(self, allow_errors=False):
        """Why this run is not clean, in few words; empty if it is."""
        lost = self.unexcused()
        found = [f"{len(self.wrong)} wrong: {self.wrong[:3]}"] if self.wrong else []
        found += [f"{len(lost)} times lost or old, and no fault excuses it: {lost[:3]}"] if lost else []
        found += [f"{len(self.disconnects)} disconnects: {self.disconnects[:3]}"] if self.disconnects else []
        if self.errors and not allow_errors:
            found.append(f"{sum(self.errors.values())} errors: {dict(self.errors.most_common(5))}")
        return found

    def __str__(self):
        return (f"{self.requests} requests, {sum(self.errors.values())} errors {dict(self.errors.most_common(5))}, "
                f"{len(self.wrong)} wrong {self.wrong[:3]}, {self.lost_writes} lost writes, of which "
                f"{len(self.unexcused())} are not excused, disconnects {self.disconnects[:3]}")


class _Place:
    """One of the keys that a worker uses at a time, and its history; `kind` is a class of histories."""

    def __init__(self, name, kind, report):
        self._name = name
        self._kind = kind
        self._report = report
        self._generation = 0
        self.history = None
        self.renew()

    def renew(self):
        """Another key; returns the history of the former one."""
        before = self.history
        self._generation += 1
        self.history = self._kind(b"%s.%d" % (self._name, self._generation), self._report)
        return before

    def is_full(self):
        return len(self.history.writes) >= _WRITES_PER_KEY


class _Worker(threading.Thread):
    def __init__(self, address, name, seed, keys, depth, login):
        super().__init__(daemon=True, name=name)
        self.report = Report()
        self.stop_asked = threading.Event()
        self._address = address
        self._login = login
        self._random = random.Random(seed)
        self._places = [self._place(name, i) for i in range(keys)]
        self._values = [place for i, place in enumerate(self._places) if self._kind(i) is Value]
        self._tokens = [place for i, place in enumerate(self._places) if self._kind(i) is Tokens]
        self._counters = [place for i, place in enumerate(self._places) if self._kind(i) is Counter]
        self._left = []  # Histories of keys that are not written any more.
        self._depth = depth
        self._serial = 0
        self._protocol = 2 + seed % 2

    @staticmethod
    def _kind(index):
        return (Value, Tokens, Value, Counter)[index % 4]

    def _place(self, name, index):
        # A third of the keys share hash tags, for requests with several keys in one slot.
        key = f"{{{name}:{index % 7}}}:{index}" if index % 3 == 0 else f"{name}:{index}"
        return _Place(key.encode(), self._kind(index), self.report)

    def run(self):
        while not self.stop_asked.is_set():
            try:
                with self._connect(self._address) as client:
                    while not self.stop_asked.is_set():
                        self._one_pipeline(client)
            except (Disconnected, OSError) as error:
                self.report.disconnects.append(f"{self.name}: {error!r}")
                time.sleep(0.1)
            except Exception as error:  # A reply that is no reply: the stream is out of step.
                self.report.wrong.append(f"{self.name}: {error!r}")
            if len(self.report.wrong) > _WRONG_KEPT:
                return

    def _connect(self, address):
        client = RespClient(address, timeout_s=60, login=self._login)
        if self._protocol == 3:
            client.ok("HELLO", 3)
        return client

    def read_all(self, address):
        """Reads every key once more, from wherever `address` is."""
        histories = self._left + [place.history for place in self._places]
        with self._connect(address) as client:
            for first in range(0, len(histories), _READ_AT_ONCE):
                some = histories[first : first + _READ_AT_ONCE]
                for history, reply in zip(some, client.pipeline([("GET", each.key) for each in some])):
                    if isinstance(reply, RespError):
                        self._is_wrong(f"GET {history.key!r} at the end gave {reply.text}")
                    self._check_get(history, reply)

    def _one_pipeline(self, client):
        self._leave_full_keys()
        requests = [self._pick() for _ in range(self._random.randint(1, self._depth))]
        client.send(b"".join(encode(*arguments) for arguments, _ in requests))
        # Until its reply is read, each write of the pipeline may have happened; an exception leaves it so.
        done = 0
        try:
            for _, check in requests:
                reply = client.read_reply()
                done += 1
                self.report.requests += 1
                if isinstance(reply, RespError):
                    self._note_error(reply)
                check(reply)
        finally:
            for _, check in requests[done:]:
                check(_NO_REPLY)

    def _leave_full_keys(self):
        self._left += [place.renew() for place in self._places if place.is_full()]

    def _note_error(self, reply):
        self.report.errors[reply.text] += 1
        self.report.last_error_at = time.monotonic()

    def _pick(self):
        """A command, and what checks its reply."""
        kinds = (self._get, self._set, self._append, self._increment, self._mget, self._mset, self._delete, self._echo)
        return self._random.choices(kinds, (28, 24, 14, 10, 8, 8, 5, 3))[0]()

    def _history(self, places):
        return self._random.choice(places).history

    def _get(self):
        history = self._history(self._places)
        return ("GET", history.key), lambda reply: self._check_get(history, reply)

    def _set(self):
        history = self._history(self._values)
        value = self._new_value(history.key)
        write = history.begin(value)
        return ("SET", history.key, value), lambda reply: self._check_ok([(history, write)], reply, "SET")

    def _append(self):
        history = self._history(self._tokens)
        token = self._new_value(history.key) + b";"
        write = history.begin(token)
        return ("APPEND", history.key, token), lambda reply: self._check_append(history, write, reply)

    def _increment(self):
        history = self._history(self._counters)
        write = history.begin()
        return ("INCR", history.key), lambda reply: self._check_increment(history, write, reply)

    def _mget(self):
        histories = [self._history(self._places) for _ in range(self._random.randint(2, 8))]
        return ("MGET", *[each.key for each in histories]), lambda reply: self._check_mget(histories, reply)

    def _mset(self):
        places = self._random.sample(self._values, min(len(self._values), self._random.randint(2, 8)))
        writes = [(place.history, place.history.begin(self._new_value(place.history.key))) for place in places]
        flat = [part for history, write in writes for part in (history.key, write.value)]
        return ("MSET", *flat), lambda reply: self._check_ok(writes, reply, "MSET")

    def _delete(self):
        history = self._history(self._values)
        write = history.begin()
        return ("DEL", history.key), lambda reply: self._check_delete(history, write, reply)

    def _echo(self):
        text = self._new_value(b"echo")
        return ("ECHO", text), lambda reply: self._check_echo(text, reply)

    def _new_value(self, key):
        self._serial += 1
        return key + b"=%d" % self._serial + b"x" * self._random.choice((0, 10, 300))

    def _is_wrong(self, text):
        self.report.wrong.append(text)

    def _check_ok(self, writes, reply, what):
        if reply != "OK" and not isinstance(reply, RespError):
            self._is_wrong(f"{what} gave {reply!r}")
        for history, write in writes:
            history.settle(write, reply, is_part=len(writes) > 1)

    def _check_append(self, history, write, reply):
        history.settle(write, reply)
        if isinstance(reply, int):
            history.length(reply)
        elif not isinstance(reply, RespError):
            self._is_wrong(f"APPEND gave {reply!r}")

    def _check_increment(self, history, write, reply):
        history.settle(write, reply)
        if isinstance(reply, int):
            history.is_now(reply)
        elif not isinstance(reply, RespError):
            self._is_wrong(f"INCR gave {reply!r}")

    def _check_delete(self, history, write, reply):
        if not isinstance(reply, RespError):
            history.deleted(reply)
        history.settle(write, reply)

    def _check_get(self, history, reply):
        if reply is None or isinstance(reply, bytes):
            history.read(reply)
        elif not isinstance(reply, RespError):
            self._is_wrong(f"GET {history.key!r} gave {reply!r}")

    def _check_mget(self, histories, reply):
        if isinstance(reply, RespError):
            return
        if not isinstance(reply, list) or len(reply) != len(histories):
            self._is_wrong(f"MGET of {len(histories)} keys gave {reply!r}")
            return
        for history, value in zip(histories, reply):
            self._check_get(history, value)

    def _check_echo(self, text, reply):
        if reply != text and reply is not _NO_REPLY:
            self._is_wrong(f"ECHO {text!r} gave {reply!r}")


class Load:
    """Several workers against one address. start(), then stop() for the Report. No two share a key. `login`: a user
    and a password. Of `windows`, in which acknowledged writes may be lost, there may be more at any time."""

    _serials = itertools.count()

    def __init__(self, address, threads=4, keys=200, depth=20, seed=1, prefix="load", login=None):
        self.address = address
        self.windows = []
        prefix = f"{prefix}.{next(self._serials)}"
        self._workers = [
            _Worker(address, f"{prefix}.{index}", seed * 1000 + index, keys, depth, login) for index in range(threads)
        ]

    def start(self):
        for worker in self._workers:
            worker.start()
        return self

    def may_lose(self, slots):
        """A fault is about to be done to the primary of these slots. Returns the window, for its end."""
        self.windows.append(LossWindow(slots))
        return self.windows[-1]

    def snapshot(self):
        """A Report of the moment; the threads go on."""
        report = Report()
        report.windows = list(self.windows)
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
