"""The load harness has to notice lies: a run that cannot fail proves nothing."""

import random
import socket
import unittest

from testing.background import LoopbackServer
from testing.harness_load import Load


class LyingServer(LoopbackServer):
    """Keeps keys in a dict and answers GET, SET, DEL, MGET and MSET; `lie` may change any reply."""

    def __init__(self, lie=None):
        self._keys = {}
        self._lie = lie or (lambda name, reply: reply)
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
                    reply = self._lie(arguments[0], self._answer(arguments[0], arguments[1:]))
                    if reply is None:
                        return
                    connection.sendall(reply)
        except OSError:
            pass  # The load has seen enough.

    def _answer(self, name, arguments):
        if name in (b"SET", b"MSET"):
            self._keys.update(zip(arguments[::2], arguments[1::2]))
            return b"+OK\r\n"
        if name == b"DEL":
            return b":%d\r\n" % (self._keys.pop(arguments[0], None) is not None)
        values = [self._keys.get(key) for key in arguments]
        bulks = b"".join(b"$-1\r\n" if v is None else b"$%d\r\n%s\r\n" % (len(v), v) for v in values)
        return bulks if name == b"GET" else b"*%d\r\n" % len(values) + bulks


class LoadTest(unittest.TestCase):
    def run_against(self, lie=None, may_lose=False):
        server = LyingServer(lie)
        self.addCleanup(server.close)
        load = Load(server.address, threads=2, keys=20, seed=3)
        load.may_lose(may_lose)
        load.start()
        while True:
            report = load.snapshot()
            if report.requests > 2000 or report.wrong or report.disconnects:
                return load.stop(read_all=lie is None)

    @staticmethod
    def sometimes(name, change, generator=random.Random(5)):
        return lambda command, reply: change(reply) if command == name and generator.random() < 0.3 else reply

    def test_an_honest_server_passes(self):
        report = self.run_against()
        self.assertEqual(report.problems(), [])
        self.assertGreater(report.requests, 2000)

    def test_value_of_another_key_is_noticed(self):
        lie = self.sometimes(b"GET", lambda _: b"$12\r\nload.0.0:1=1\r\n")
        self.assertTrue(self.run_against(lie).wrong)
        self.assertTrue(self.run_against(lie, may_lose=True).wrong)

    def test_lost_write_is_noticed(self):
        self.assertTrue(self.run_against(self.sometimes(b"GET", lambda _: b"$-1\r\n")).wrong)

    def test_lost_write_is_counted_where_it_is_allowed(self):
        report = self.run_against(self.sometimes(b"GET", lambda _: b"$-1\r\n"), may_lose=True)
        self.assertGreater(report.lost_writes, 0)

    def test_reply_of_another_type_is_noticed(self):
        for name in (b"GET", b"SET", b"MGET", b"MSET", b"DEL"):
            self.assertTrue(self.run_against(self.sometimes(name, lambda _: b":77\r\n"), may_lose=True).wrong, name)

    def test_missing_and_doubled_replies_are_noticed(self):
        self.assertTrue(self.run_against(self.sometimes(b"SET", lambda reply: reply * 2)).wrong)
        self.assertTrue(self.run_against(self.sometimes(b"MGET", lambda reply: b"*1" + reply[2:])).wrong)

    def test_errors_are_counted(self):
        report = self.run_against(self.sometimes(b"GET", lambda _: b"-CLUSTERDOWN x\r\n"))
        self.assertGreater(report.errors["CLUSTERDOWN x"], 0)
        self.assertEqual(report.wrong, [])

    def test_closed_connections_are_noticed(self):
        self.assertTrue(self.run_against(self.sometimes(b"DEL", lambda _: None)).disconnects)


if __name__ == "__main__":
    unittest.main()
