"""The clients of benchmarks/failover: what they do when a node answers badly or not at all, and what is counted."""

import asyncio
import unittest

from benchmarks.outage.clients import ClusterCaller, Crowd, ErrorReply, ProxyCaller, Tally, encode


class ScriptedNode:
    """Answers each command by `answer(words)`, bytes; None closes the connection."""

    def __init__(self, answer):
        self.heard = []
        self.answer = answer

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = "127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        try:
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:])
                words = []
                for _ in range(count):
                    size = int((await reader.readuntil(b"\r\n"))[1:])
                    words.append((await reader.readexactly(size + 2))[:-2].decode())
                self.heard.append(" ".join(words))
                reply = self.answer(words)
                if reply is None:
                    break
                writer.write(reply)
        except (EOFError, OSError):
            pass
        writer.close()


def map_of(address):
    """CLUSTER SLOTS: all slots at `address`."""
    host, _, port = address.rpartition(":")
    return b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$%d\r\n%s\r\n:%s\r\n" % (len(host), host.encode(), port.encode())


class TallyTest(unittest.TestCase):
    def setUp(self):
        self.tally = Tally()
        self.tally.begin(10.0)

    def test_gaps_are_those_of_the_affected(self):
        self.tally.succeeded(10.9, 11.0, is_affected=True)
        self.tally.succeeded(11.9, 12.0, is_affected=False)
        self.tally.succeeded(13.9, 14.0, is_affected=True)
        self.assertAlmostEqual(self.tally.longest_gap_s, 3.0)
        self.tally.end(20.0)
        self.assertAlmostEqual(self.tally.longest_gap_s, 6.0, msg="until the end")

    def test_a_failure_is_no_success(self):
        self.tally.failed(10.5, 11.0, "ERR x")
        self.tally.succeeded(11.9, 12.0, is_affected=True)
        self.assertAlmostEqual(self.tally.longest_gap_s, 2.0)
        self.assertEqual(self.tally.errors, {"ERR x": 1})
        self.assertEqual(self.tally.requests, 2)

    def test_trouble_is_what_fails_or_is_slow(self):
        self.assertEqual(self.tally.trouble_after_s(11.0), 0.0)
        self.tally.succeeded(10.0, 12.0, is_affected=False)
        self.assertAlmostEqual(self.tally.trouble_after_s(11.0), 1.0)
        self.tally.succeeded(12.9, 13.0, is_affected=True)
        self.assertAlmostEqual(self.tally.trouble_after_s(11.0), 1.0)
        self.assertEqual(self.tally.trouble_after_s(12.5), 0.0, "it was over before")


class CallerTest(unittest.IsolatedAsyncioTestCase):
    async def node(self, answer):
        return await self.enterAsyncContext(ScriptedNode(answer))

    async def test_a_proxys_errors_are_the_clients(self):
        proxy = await self.node(lambda words: b"-ERR upstream lost\r\n")
        caller = ProxyCaller(proxy.address, timeout_s=5)
        with self.assertRaisesRegex(ErrorReply, "upstream lost"):
            await caller.call(0, "GET", "k")
        caller.close()

    async def test_a_proxy_that_closes_is_an_error_and_the_next_call_connects_anew(self):
        proxy = await self.node(lambda words: None)
        caller = ProxyCaller(proxy.address, timeout_s=5)
        with self.assertRaises(EOFError):
            await caller.call(0, "GET", "k")
        proxy.answer = lambda words: b"$1\r\nv\r\n"
        self.assertEqual(await caller.call(0, "GET", "k"), b"v")
        caller.close()

    async def test_moved_is_followed_and_remembered(self):
        new = await self.node(lambda words: b"+OK\r\n")
        old = await self.node(lambda words: map_of(old.address) if words[0] == "CLUSTER" else moved)
        moved = b"-MOVED 7 %s\r\n" % new.address.encode()
        caller = ClusterCaller([old.address], timeout_s=5)
        for _ in range(2):
            self.assertEqual(await caller.call(7, "SET", "k", 1), b"OK")
        self.assertEqual(old.heard, ["CLUSTER SLOTS", "SET k 1"])
        self.assertEqual(new.heard, ["SET k 1", "SET k 1"])
        caller.close()

    async def test_ask_is_followed_once(self):
        target = await self.node(lambda words: b"+OK\r\n")
        source = await self.node(lambda words: map_of(source.address) if words[0] == "CLUSTER" else ask)
        ask = b"-ASK 7 %s\r\n" % target.address.encode()
        caller = ClusterCaller([source.address], timeout_s=5)
        for _ in range(2):
            await caller.call(7, "GET", "k")
        self.assertEqual(source.heard, ["CLUSTER SLOTS", "GET k", "GET k"])
        self.assertEqual(target.heard, ["ASKING", "GET k"] * 2)
        caller.close()

    async def test_what_is_lost_or_refused_for_now_is_repeated(self):
        answers = [None, b"-CLUSTERDOWN no\r\n", b"-LOADING yet\r\n", b"+OK\r\n"]
        node = await self.node(lambda words: map_of(node.address) if words[0] == "CLUSTER" else answers.pop(0))
        caller = ClusterCaller([node.address], timeout_s=5)
        self.assertEqual(await caller.call(7, "SET", "k", 1), b"OK")
        self.assertEqual(node.heard.count("SET k 1"), 4)
        caller.close()

    async def test_its_patience_ends(self):
        node = await self.node(lambda words: b"-CLUSTERDOWN no\r\n")
        caller = ClusterCaller([node.address], timeout_s=0.2)
        with self.assertRaisesRegex(ErrorReply, "CLUSTERDOWN"):
            await caller.call(7, "GET", "k")
        caller.close()

    async def test_a_crowd_counts_what_its_clients_see(self):
        node = await self.node(lambda words: b"+OK\r\n" if words[0] == "SET" else b"-ERR no\r\n")
        tally = Tally()
        keys = [(b"a", 1), (b"b", 2)]
        callers = [ProxyCaller(node.address, timeout_s=5) for _ in keys]
        crowd = Crowd(callers, keys, {b"a"}, per_second=200, tally=tally)
        self.assertEqual(await crowd.run(lambda: "done", warm_up_s=0.1, settle_s=0.2), "done")
        self.assertGreater(tally.requests, 0)
        self.assertEqual(set(tally.errors), {"ERR no"})
        self.assertIn("SET a 0", node.heard)
        self.assertIn("GET b", node.heard)


class EncodeTest(unittest.TestCase):
    def test_words_of_any_kind(self):
        self.assertEqual(encode("SET", b"k", 1), b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n")


if __name__ == "__main__":
    unittest.main()
