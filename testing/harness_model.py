"""What the replies to one client may be, whatever is done to the cluster behind the proxy: the rules of
testing/simulator_model.h, for a cluster whose nodes are real and lose what they have not replicated.

The keys of a model are written by one client alone, over one connection at a time, so their contents are known up to
the writes whose outcome is not. The class of a key's history says how the key is used:

    Tokens    APPEND and GET: the value is the sequence of all tokens that were appended
    Value     SET, MSET, DEL and GET, MGET: the value of the last write; each is written once
    Counter   INCR and GET

Rules. A write is executed at most once, and never when it was refused. A read shows every earlier write that was
acknowledged, in order, and none that was issued later. A write whose outcome is unknown may show or not, and at any
time: a node may still execute what it had received. Once it was seen it is as good as acknowledged.

What breaks these rules is wrong, but for one thing: replication is asynchronous, so a primary that is lost takes
acknowledged writes with it. A write that is missing, or a state that is old, is therefore noted as a Loss; whether a
LossWindow excuses it is for the end, when it is known what was done to the cluster.

Replies are given in the order of the requests. Times are those of time.monotonic().
"""

import binascii
import enum
import re
import time

from testing.resp_client import RespError

SLOTS = 16384
# What a replica may be behind its primary at most when nothing is wrong, on a busy machine.
REPLICATION_S = 2

# Errors that say that nothing was executed: those of nodes, and rcproxy's own.
_REFUSALS = re.compile(
    r"CLUSTERDOWN |TRYAGAIN |LOADING |MASTERDOWN |READONLY |ERR upstream (unreachable|busy|overloaded|redirects|moved)"
)


def slot_of(key):
    """Of a key in bytes."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return binascii.crc_hqx(key, 0) % SLOTS


class LossWindow:
    """A time in which a fault may have taken acknowledged writes with it, of some slots: from somewhat before the fault
    until a new primary is agreed on. Open until end()."""

    def __init__(self, slots=range(SLOTS), since=None):
        self.slots = frozenset(slots)
        self.since = time.monotonic() - REPLICATION_S if since is None else since
        self.until = float("inf")

    def end(self):
        self.until = time.monotonic()

    def covers(self, slot, span):
        """Whether what was executed at some time of `span` may be lost."""
        return slot in self.slots and span[0] <= self.until and span[1] >= self.since


class Loss:
    """At least `count` of the writes to a slot that were executed in `spans` are missing."""

    def __init__(self, slot, spans, count, text):
        self.count = count
        self.text = text
        self._slot = slot
        self._spans = spans

    def is_excused(self, windows):
        lost = [span for span in self._spans if any(window.covers(self._slot, span) for window in windows)]
        return len(lost) >= self.count


class State(enum.Enum):
    PENDING = 0
    DONE = 1  # Acknowledged, or seen.
    REFUSED = 2
    UNKNOWN = 3
    LOST = 4  # Was DONE, and is missing.


class Write:
    """One write to one key. `value` is None for DEL, and what INCR makes of the key is not known beforehand."""

    __slots__ = ("value", "state", "span", "is_early", "is_ordered")

    def __init__(self, value):
        self.value = value
        self.state = State.PENDING
        self.span = (time.monotonic(), float("inf"))
        self.is_early = False  # A read that was issued before it has shown it.
        self.is_ordered = True  # Its place among the others is known.

    def settle(self, state):
        self.state = state
        self.span = (self.span[0], time.monotonic())


class History:
    """Of one key. `findings` has the lists `wrong`, of texts, and `losses`."""

    def __init__(self, key, findings):
        self.key = key
        self.writes = []
        self._slot = slot_of(key)
        self._findings = findings

    def begin(self, value=None):
        self.writes.append(Write(value))
        return self.writes[-1]

    def settle(self, write, reply, is_part=False):
        """`reply` acknowledges the write, or is an error. `is_part`: of others of its command all may be unknown."""
        if not isinstance(reply, RespError):
            write.settle(State.DONE)
            if write.is_early:
                self._is_wrong(f"an earlier read had shown {_short(write.value)} already")
            self._was_done(write)
        elif _REFUSALS.match(reply.text) and not is_part:
            write.settle(State.REFUSED)
            if write.is_early:
                self._is_wrong(f"{_short(write.value)} was refused, but it had been executed")
        else:
            write.settle(State.UNKNOWN)

    def read(self, value):
        """A read shows `value`."""
        raise NotImplementedError

    def _was_done(self, write):
        pass

    def _in_state(self, *states):
        return [write for write in self.writes if write.state in states]

    def _is_wrong(self, text):
        self._findings.wrong.append(f"{self.key!r}: {text}")

    def _are_lost(self, writes, text):
        for write in writes:
            write.state = State.LOST
        self._note_loss([write.span for write in writes], len(writes), text)

    def _came_back(self, text):
        now = time.monotonic()
        self._note_loss([(now, now)], 1, text)

    def _note_loss(self, spans, count, text):
        self._findings.losses.append(Loss(self._slot, spans, count, f"{self.key!r}: {text}"))


class Tokens(History):
    """The tokens in the value of a key, each of which ends in b";"."""

    def read(self, value):
        known = {write.value: index for index, write in enumerate(self.writes)}
        seen = []
        for token in (value or b"").split(b";")[:-1]:
            index = known.get(token + b";")
            if index is None:
                return self._is_wrong(f"{_short(token)} was never written")
            if index in seen:
                return self._is_wrong(f"{_short(token)} was executed twice")
            seen.append(index)
        if value and not value.endswith(b";"):
            return self._is_wrong(f"{value[-80:]!r} ends in no token")
        for index in seen:
            self._see(self.writes[index])
        in_order = [index for index in seen if self.writes[index].is_ordered]
        if in_order != sorted(in_order):
            self._is_wrong(f"the writes {in_order} are in another order than they were issued in")
        missing = [write for index, write in enumerate(self.writes) if write.state is State.DONE and index not in seen]
        if missing:
            self._are_lost(missing, f"{[_short(write.value) for write in missing]} were acknowledged, and are missing")

    def length(self, size):
        """APPEND has made the value so long."""
        most = sum(len(write.value) for write in self.writes if write.state is not State.REFUSED)
        if size > most:
            self._is_wrong(f"APPEND made it {size} bytes long, all that was written is {most}: executed twice")

    def _see(self, write):
        if write.state is State.REFUSED:
            self._is_wrong(f"{_short(write.value)} was refused, but it was executed")
        elif write.state is State.PENDING:
            write.is_early = True
            write.is_ordered = False
        elif write.state is State.UNKNOWN:
            write.settle(State.DONE)
            write.is_ordered = False
        elif write.state is State.LOST:
            write.state = State.DONE
            self._came_back(f"{_short(write.value)} was lost and came back")


class Value(History):
    """`_effective` are the writes that are known to have been executed, in that order, without those that are lost."""

    def __init__(self, key, findings):
        super().__init__(key, findings)
        self._effective = []

    def read(self, value):
        if value != self._last():
            self._show(value, f"is {_short(value)} instead of {_short(self._last())}")

    def deleted(self, count):
        """DEL has deleted so many, 0 or 1, and is acknowledged next."""
        possible = {self._last() is not None} | {write.value is not None for write in self._in_state(State.UNKNOWN)}
        if count not in (0, 1):
            self._is_wrong(f"DEL gave {count!r}")
        elif bool(count) in possible:
            return
        elif count == 0:
            self._show(None, f"did not exist for DEL, but was {_short(self._last())}")
        else:
            self._show_undeleted("existed for DEL, but had been deleted or lost")

    def _was_done(self, write):
        self._effective.append(write)

    def _last(self):
        return self._effective[-1].value if self._effective else None

    def _show(self, value, text):
        """Not the last one."""
        candidates = [write for write in self.writes if write.value == value]
        unknown = [write for write in candidates if write.state is State.UNKNOWN]
        if unknown:
            unknown[0].settle(State.DONE)
            self._effective.append(unknown[0])
        elif any(write.state is State.PENDING for write in candidates):
            self._show_early(candidates)
        elif value is not None and not candidates:
            self._is_wrong(f"{text}: it was never written")
        elif any(write.state is State.REFUSED for write in candidates) and value is not None:
            self._is_wrong(f"{text}: it was refused, but it was executed")
        else:
            self._show_old(value, text)

    @staticmethod
    def _show_early(candidates):
        # Which of several DEL has been executed cannot be told.
        if candidates[0].value is not None:
            candidates[0].is_early = True

    def _show_old(self, value, text):
        """One that was overwritten, or lost before."""
        kept = len(self._effective)
        while kept > 0 and self._effective[kept - 1].value != value:
            kept -= 1
        if kept > 0 or value is None:
            gone, self._effective = self._effective[kept:], self._effective[:kept]
            return self._are_lost(gone, text)
        write = next(write for write in self.writes if write.value == value)
        write.state = State.DONE
        self._effective.append(write)
        self._came_back(f"{text}: it was lost and came back")

    def _show_undeleted(self, text):
        kept = len(self._effective)
        while kept > 0 and self._effective[kept - 1].value is None:
            kept -= 1
        if kept > 0:
            gone, self._effective = self._effective[kept:], self._effective[:kept]
            self._are_lost(gone, text)
        elif any(write.value is not None and write.state is State.LOST for write in self.writes):
            self._came_back(text)
        else:
            self._is_wrong(text)


class Counter(History):
    """Which increments are lost cannot be told, only how many at least."""

    def __init__(self, key, findings):
        super().__init__(key, findings)
        self._lost = 0

    def read(self, value):
        if value is not None and not value.isdigit():
            return self._is_wrong(f"{value[:80]!r} is no sum")
        self.is_now(int(value or 0))

    def is_now(self, count):
        """A GET, or an INCR that has been acknowledged, shows this sum."""
        done = self._in_state(State.DONE)
        perhaps = len(self._in_state(State.UNKNOWN, State.PENDING))
        if count > len(done) + perhaps:
            self._is_wrong(f"the sum is {count}, of {len(done)} acknowledged and {perhaps} perhaps: executed twice")
        elif count > len(done) - self._lost + perhaps:
            self._came_back(f"the sum is {count} again, after {self._lost} of {len(done)} were lost")
            self._lost = max(0, len(done) - count)
        elif count < len(done) - self._lost:
            self._lost = len(done) - count
            self._note_loss([write.span for write in done], self._lost,
                            f"the sum is {count}, but {len(done)} were acknowledged")


def _short(value):
    return "nothing" if value is None else repr(value[:40])
