"""The load harness has to notice lies, and to excuse what a fault excuses and no more."""

import collections
import random
import socket
import threading
import time
import unittest

from testing.background import LoopbackServer
from testing.chaos_excuses import Excuses
from testing.chaos_faults import what_is_left
from testing.harness_load import Load, Report
from testing.harness_model import Counter, LossWindow, State, Tokens, Value, slot_of
from testing.resp_client import RespError

UNKNOWN = RespError("ERR upstream lost: it may or may not have been executed")
REFUSED = RespError("CLUSTERDOWN Hash slot not served")


class ModelTest(unittest.TestCase):
    """What each history says to what it is shown. Fixtures are of three writes that were acknowledged."""

    def setUp(self):
        self.report = Report()

    def tokens(self):
        history = Tokens(b"k", self.report)
        return history, [self.write(history, b"k=%d;" % i, i) for i in (1, 2, 3)]

    def value(self):
        history = Value(b"k", self.report)
        return history, [self.write(history, b"k=%d" % i, "OK") for i in (1, 2, 3)]

    def counter(self):
        history = Counter(b"k", self.report)
        return history, [self.write(history, None, i) for i in (1, 2, 3)]

    @staticmethod
    def write(history, value, reply):
        write = history.begin(value)
        history.settle(write, reply)
        return write

    def assert_clean(self):
        self.assertEqual(self.report.problems(), [])
        self.assertEqual(self.report.losses, [])

    def assert_wrong(self, *words):
        self.assertEqual(len(self.report.wrong), 1, self.report.wrong)
        for word in words:
            self.assertIn(word, self.report.wrong[0])

    def assert_lost(self, count=1):
        """Which nothing excuses, except a window of the slot and time."""
        self.assertEqual((self.report.wrong, len(self.report.losses)), ([], 1))
        self.assertEqual(self.report.lost_writes, count)
        self.assertEqual(len(self.report.problems()), 1)
        self.report.windows = [LossWindow({slot_of(b"k") + 1})]
        self.assertEqual(len(self.report.problems()), 1, "another slot's window")
        over = LossWindow(since=0)
        over.until = time.monotonic() - 3600
        self.report.windows = [over]
        self.assertEqual(len(self.report.problems()), 1, "another time's window")
        self.report.windows = [LossWindow({slot_of(b"k")})]
        self.assertEqual(self.report.problems(), [])

    def test_slots_are_those_of_the_servers(self):
        self.assertEqual([slot_of(b"foo"), slot_of(b"{foo}bar"), slot_of(b"123456789")], [12182, 12182, 12739])
        self.assertNotEqual(slot_of(b"a{}b"), slot_of(b"a{}c"))

    def test_what_was_acknowledged_is_right(self):
        for fixture, shown in ((self.tokens, b"k=1;k=2;k=3;"), (self.value, b"k=3"), (self.counter, b"3")):
            history, _ = fixture()
            history.read(shown)
            history.read(shown)
        self.assert_clean()

    def test_a_doubled_append(self):
        history, _ = self.tokens()
        history.read(b"k=1;k=2;k=2;k=3;")
        self.assert_wrong("k=2", "twice")

    def test_a_doubled_append_is_seen_in_its_length(self):
        history, _ = self.tokens()
        history.length(12)
        self.assert_clean()
        history.length(16)
        self.assert_wrong("twice")

    def test_an_append_of_unknown_outcome_may_be_executed_once_and_late(self):
        history, _ = self.tokens()
        self.write(history, b"k=4;", UNKNOWN)
        self.write(history, b"k=5;", 20)
        history.read(b"k=1;k=2;k=3;k=5;")
        history.read(b"k=1;k=2;k=3;k=5;k=4;")
        self.assert_clean()
        history.read(b"k=1;k=2;k=3;k=4;k=5;k=4;")
        self.assert_wrong("k=4", "twice")

    def test_an_append_of_unknown_outcome_that_was_seen_stays(self):
        history, _ = self.tokens()
        self.write(history, b"k=4;", UNKNOWN)
        history.read(b"k=1;k=2;k=3;k=4;")
        history.read(b"k=1;k=2;k=3;")
        self.assert_lost()

    def test_appends_in_another_order(self):
        history, _ = self.tokens()
        history.read(b"k=1;k=3;k=2;")
        self.assert_wrong("order")

    def test_an_append_that_was_refused_shows(self):
        history, _ = self.tokens()
        self.write(history, b"k=4;", REFUSED)
        history.read(b"k=1;k=2;k=3;k=4;")
        self.assert_wrong("k=4", "refused")

    def test_tokens_of_somebody_else(self):
        history, _ = self.tokens()
        history.read(b"k=1;j=2;k=2;k=3;")
        self.assert_wrong("never written")

    def test_a_token_that_is_cut(self):
        history, _ = self.tokens()
        history.read(b"k=1;k=2;k=3;k=")
        self.assert_wrong("no token")

    def test_a_lost_append(self):
        history, _ = self.tokens()
        history.read(b"k=1;k=3;")
        self.assert_lost()

    def test_a_lost_append_that_comes_back(self):
        history, _ = self.tokens()
        history.read(b"k=1;k=2;")
        window = LossWindow()
        window.end()
        self.report.windows = [window]
        self.assertEqual(self.report.problems(), [])
        time.sleep(0.01)
        history.read(b"k=1;k=2;k=3;")
        self.assertEqual(len(self.report.problems()), 1)

    def test_a_read_that_shows_a_later_write(self):
        for reply, words in ((12, "already"), (REFUSED, "refused"), (UNKNOWN, None)):
            with self.subTest(reply=reply):
                self.report.wrong.clear()
                history, _ = self.tokens()
                write = history.begin(b"k=4;")
                history.read(b"k=1;k=2;k=3;k=4;")
                history.settle(write, reply)
                self.assert_wrong(words) if words else self.assert_clean()

    def test_a_doubled_increment(self):
        history, _ = self.counter()
        history.read(b"4")
        self.assert_wrong("twice")

    def test_increments_of_unknown_outcome_widen_the_bounds(self):
        history, _ = self.counter()
        for _ in range(2):
            self.write(history, None, UNKNOWN)
        for shown in (b"3", b"4", b"5"):
            history.read(shown)
        self.assert_clean()
        history.is_now(6)
        self.assert_wrong("twice")

    def test_a_refused_increment_does_not(self):
        history, _ = self.counter()
        self.write(history, None, REFUSED)
        history.read(b"4")
        self.assert_wrong("twice")

    def test_lost_increments(self):
        history, _ = self.counter()
        history.read(b"1")
        self.assert_lost(2)

    def test_a_loss_that_is_larger_than_the_window_is_not_excused(self):
        history, writes = self.counter()
        writes[0].span = (0.0, 1.0)
        history.read(None)
        self.report.windows = [LossWindow()]
        self.assertEqual(len(self.report.problems()), 1)

    def test_a_doubled_increment_after_a_loss(self):
        history, _ = self.counter()
        history.read(b"1")
        self.report.windows = [LossWindow()]
        self.report.windows[0].end()
        time.sleep(0.01)
        history.read(b"2")
        self.assertEqual(len(self.report.unexcused()), 1)

    def test_a_value_of_somebody_else(self):
        history, _ = self.value()
        history.read(b"j=3")
        self.assert_wrong("never written")

    def test_a_stale_value(self):
        history, _ = self.value()
        history.read(b"k=2")
        self.assert_lost()

    def test_a_lost_value(self):
        history, _ = self.value()
        history.read(None)
        self.assert_lost(3)

    def test_a_value_that_was_refused(self):
        history, _ = self.value()
        self.write(history, b"k=4", REFUSED)
        history.read(b"k=4")
        self.assert_wrong("refused")

    def test_a_value_of_unknown_outcome_shows_once(self):
        history, _ = self.value()
        self.write(history, b"k=4", UNKNOWN)
        self.write(history, b"k=5", "OK")
        history.read(b"k=5")
        history.read(b"k=4")  # It was executed late.
        self.write(history, b"k=6", "OK")
        history.read(b"k=6")
        self.assert_clean()
        history.read(b"k=4")
        self.assert_lost()

    def test_deletes(self):
        history, _ = self.value()
        history.deleted(1)
        self.write(history, None, 1)
        history.read(None)
        history.deleted(0)
        self.assert_clean()
        history.deleted(1)
        self.assert_lost()

    def test_a_delete_that_finds_nothing(self):
        history, _ = self.value()
        history.deleted(0)
        self.assert_lost(3)

    def test_a_delete_of_what_was_never_written(self):
        Value(b"k", self.report).deleted(1)
        self.assert_wrong("deleted")

    def test_a_delete_of_unknown_outcome(self):
        history, _ = self.value()
        write = self.write(history, None, UNKNOWN)
        history.read(b"k=3")
        history.read(None)
        self.assertIs(write.state, State.DONE)
        self.assert_clean()
        history.read(b"k=3")
        self.assert_lost()


class FakeNode:
    def __init__(self, node_id, slots):
        self.id = node_id
        self.slots = slots
        self.process = object()


class FakeCluster:
    """Two primaries, and a replica that takes over from the first one."""

    def __init__(self):
        self.first, self.second, self.replica = FakeNode("1", [1, 2]), FakeNode("2", [3]), FakeNode("3", [])

    def primaries(self):
        return [node for node in (self.first, self.second, self.replica) if node.slots]

    @staticmethod
    def slots_of(node):
        return node.slots

    def wait_until_ok(self, _):
        pass

    def fail_over(self):
        self.first.slots, self.replica.slots = self.replica.slots, self.first.slots


class ExcusesTest(unittest.TestCase):
    """Only what may lose writes gives a window, of its slots and its time."""

    def setUp(self):
        self.cluster = FakeCluster()
        self.windows = []
        self.excuses = Excuses(self.cluster, self.windows)

    def assert_covered(self, slot, age_s, expected=True):
        at = time.monotonic() - age_s
        self.assertEqual([window.covers(slot, (at, at)) for window in self.windows], [expected])

    def test_a_primary_that_is_lost_excuses_its_slots_and_time(self):
        with self.excuses.fault_at(self.cluster.first):
            self.cluster.fail_over()
        time.sleep(0.01)
        self.assert_covered(1, 0.1)
        self.assert_covered(2, 1)
        self.assert_covered(3, 1, False)
        self.assert_covered(1, 10, False)
        self.assert_covered(1, 0, False)
        self.assertEqual(self.excuses.note_elections(), [])

    def test_one_that_stays_excuses_nothing(self):
        with self.excuses.fault_at(self.cluster.first):
            pass
        self.assertEqual(self.windows, [])

    def test_one_that_was_started_again_lost_its_memory(self):
        with self.excuses.fault_at(self.cluster.first) as window:
            window.since = 0
            self.cluster.first.process = object()
        self.assert_covered(1, 3600)

    def test_a_planned_failover_excuses_nothing(self):
        self.excuses.expect([self.cluster.replica])
        self.cluster.fail_over()
        self.assertEqual(self.excuses.note_elections(), [])
        self.assertEqual(self.windows, [])

    def test_an_election_that_nobody_asked_for_excuses_its_slots(self):
        self.cluster.fail_over()
        self.assertEqual(self.excuses.note_elections(), [self.cluster.replica])
        self.assert_covered(1, 1)
        self.assertEqual(self.excuses.note_elections(), [])
        self.cluster.fail_over()
        self.assertEqual(self.excuses.note_elections(), [self.cluster.first], "it was one before")

    def test_a_fault_that_fails_excuses_what_comes_later(self):
        with self.assertRaises(ValueError), self.excuses.fault_at(self.cluster.first):
            raise ValueError
        self.assert_covered(1, -1)
        self.assert_covered(3, -1, False)


class LyingServer(LoopbackServer):
    """Keeps keys in a dict and answers what Load asks; `act(server, name, arguments)` executes, and may lie."""

    def __init__(self, act=None):
        self.keys = {}
        self.former = collections.defaultdict(lambda: b"$-1\r\n")
        self._act = act or LyingServer.answer
        self._lock = threading.Lock()
        super().__init__()

    def serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with connection, connection.makefile("rb") as stream:
                while line := stream.readline():
                    arguments = []
                    for _ in range(int(line[1:])):
                        size = int(stream.readline()[1:])
                        arguments.append(stream.read(size + 2)[:-2])
                    with self._lock:
                        reply = self._act(self, arguments[0], arguments[1:])
                    if reply is None:
                        return
                    connection.sendall(reply)
        except OSError:
            pass  # The load has seen enough.

    def answer(self, name, arguments):
        if name in (b"SET", b"MSET"):
            for key in arguments[::2]:
                self.former[key] = self.bulk(self.keys.get(key))
            self.keys.update(zip(arguments[::2], arguments[1::2]))
            return b"+OK\r\n"
        if name == b"DEL":
            return b":%d\r\n" % (self.keys.pop(arguments[0], None) is not None)
        if name == b"APPEND":
            self.keys[arguments[0]] = self.keys.get(arguments[0], b"") + arguments[1]
            return b":%d\r\n" % len(self.keys[arguments[0]])
        if name == b"INCR":
            self.keys[arguments[0]] = b"%d" % (int(self.keys.get(arguments[0], b"0")) + 1)
            return b":%s\r\n" % self.keys[arguments[0]]
        if name == b"HELLO":
            return b"%0\r\n"
        if name == b"ECHO":
            return self.bulk(arguments[0])
        bulks = b"".join(self.bulk(self.keys.get(key)) for key in arguments)
        return bulks if name == b"GET" else b"*%d\r\n" % len(arguments) + bulks

    @staticmethod
    def bulk(value):
        return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)


def sometimes(name, act, honest=LyingServer.answer, share=0.1):
    """`act` executes some of the commands of this name."""
    generator = random.Random(5)
    return lambda server, command, arguments: (
        (act if command == name and generator.random() < share else honest)(server, command, arguments)
    )


def instead(reply):
    return lambda *_: reply


def twice(server, name, arguments):
    server.answer(name, arguments)
    return server.answer(name, arguments)


def not_at_all(server, name, arguments):
    before = dict(server.keys)
    reply = server.answer(name, arguments)
    server.keys = before
    return reply


def with_error(act, text):
    def acted(server, name, arguments):
        act(server, name, arguments)
        return b"-" + text + b"\r\n"

    return acted


class WhatIsLeftTest(unittest.TestCase):
    """Of an rcproxy's work, as its INFO tells."""

    def ask(self, *in_flight):
        """The numbers are told one after another, the last one again and again."""
        numbers = list(in_flight)

        def info(server, *_):
            number = numbers.pop(0) if len(numbers) > 1 else numbers[0]
            text = "# Proxy\r\nrcproxy_clients_connected:1\r\nrcproxy_requests_held:0\r\nrcproxy_own_connections:0\r\n"
            return server.bulk((text + f"rcproxy_requests_in_flight:{number}\r\n").encode())

        with LyingServer(info) as server:
            return what_is_left(server.address, patience_s=0.3)

    def test_nothing_is_left_at_once_or_soon(self):
        self.assertEqual(self.ask(1), [])
        self.assertEqual(self.ask(2, 1), [])

    def test_a_request_that_is_never_answered(self):
        self.assertIn("'requests_in_flight': 2", self.ask(2)[0])


class LoadTest(unittest.TestCase):
    def run_against(self, act=None, requests=2000, windows=()):
        server = LyingServer(act)
        self.addCleanup(server.close)
        load = Load(server.address, threads=2, keys=20, seed=3)
        load.windows += windows
        load.start()
        while True:
            report = load.snapshot()
            if report.requests > requests or report.wrong or report.disconnects or report.unexcused():
                return load.stop(read_all=not (report.wrong or report.disconnects))

    def test_an_honest_server_passes(self):
        report = self.run_against()
        self.assertEqual((report.problems(), report.lost_writes), ([], 0))
        self.assertGreater(report.requests, 2000)

    def test_writes_that_are_executed_twice_are_noticed(self):
        for name in (b"APPEND", b"INCR"):
            self.assertIn("twice", self.run_against(sometimes(name, twice)).wrong[0])

    def test_writes_of_unknown_outcome_that_are_executed_twice_are_noticed(self):
        for name in (b"APPEND", b"INCR"):
            lie = with_error(twice, b"ERR upstream lost: x")
            self.assertIn("twice", self.run_against(sometimes(name, lie, share=0.5)).wrong[0])

    def test_writes_of_unknown_outcome_may_have_been_executed_or_not(self):
        for name in (b"SET", b"MSET", b"DEL", b"APPEND", b"INCR"):
            executed = sometimes(name, with_error(LyingServer.answer, b"ERR upstream lost: x"), share=0.3)
            act = sometimes(name, instead(b"-ERR upstream lost: x\r\n"), executed, share=0.3)
            report = self.run_against(act)
            self.assertEqual((report.problems(allow_errors=True), report.lost_writes), ([], 0), name)
            self.assertGreater(report.errors["ERR upstream lost: x"], 0)

    def test_writes_that_were_refused_and_executed_are_noticed(self):
        for name in (b"SET", b"APPEND", b"INCR"):
            lie = with_error(LyingServer.answer, b"CLUSTERDOWN x")
            self.assertTrue(self.run_against(sometimes(name, lie)).wrong, name)

    def test_lost_writes_are_noticed(self):
        for name in (b"SET", b"MSET", b"DEL", b"APPEND", b"INCR"):
            report = self.run_against(sometimes(name, not_at_all))
            self.assertGreater(len(report.unexcused()), 0, name)
            self.assertTrue(report.problems(), name)

    def test_lost_writes_are_excused_where_a_fault_may_have_lost_them(self):
        report = self.run_against(sometimes(b"SET", not_at_all), windows=[LossWindow()])
        self.assertEqual(report.problems(), [])
        self.assertGreater(report.lost_writes, 0)

    def test_a_window_excuses_no_double_execution(self):
        self.assertTrue(self.run_against(sometimes(b"APPEND", twice), windows=[LossWindow()]).wrong)

    def test_stale_values_are_noticed(self):
        lie = sometimes(b"GET", lambda server, _, arguments: server.former[arguments[0]])
        self.assertTrue(self.run_against(lie).problems())

    def test_value_of_another_key_is_noticed(self):
        another = instead(b"$12\r\nload.0.0:1=1\r\n")
        self.assertTrue(self.run_against(sometimes(b"GET", another), windows=[LossWindow()]).wrong)
        self.assertTrue(self.run_against(sometimes(b"ECHO", another), windows=[LossWindow()]).wrong)

    def test_reply_of_another_type_is_noticed(self):
        for name in (b"GET", b"SET", b"MGET", b"MSET", b"DEL", b"APPEND", b"INCR", b"ECHO"):
            for reply in (b":777777\r\n", b"*0\r\n"):
                self.assertTrue(self.run_against(sometimes(name, instead(reply)), windows=[LossWindow()]).wrong, name)

    def test_missing_and_doubled_replies_are_noticed(self):
        doubled = sometimes(b"SET", lambda server, *command: server.answer(*command) * 2)
        self.assertTrue(self.run_against(doubled).wrong)
        short = sometimes(b"MGET", lambda server, *command: b"*1" + server.answer(*command)[2:])
        self.assertTrue(self.run_against(short).wrong)

    def test_errors_are_counted(self):
        report = self.run_against(sometimes(b"GET", instead(b"-CLUSTERDOWN x\r\n")), requests=1000)
        self.assertGreater(report.errors["CLUSTERDOWN x"], 0)
        self.assertEqual(report.losses, [])

    def test_closed_connections_are_noticed(self):
        self.assertTrue(self.run_against(sometimes(b"DEL", instead(None))).disconnects)


if __name__ == "__main__":
    unittest.main()
