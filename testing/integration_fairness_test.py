"""No client and no shard takes the time of others; and at SIGTERM everybody is let go in good order."""

import multiprocessing
import os
import signal
import threading
import time
import unittest

from testing.integration_base import IntegrationTest
from testing.rcproxy_process import RcproxyProcess
from testing.resp_client import Disconnected, RespClient, encode

PIPELINE = 500_000
PIPELINE_REPLY_BYTES = PIPELINE * len(b"$1\r\n1\r\n")


def send_deep_pipeline(address, received):
    """One client's half a million GETs at once. `received` counts the bytes of the replies."""
    with RespClient(address, timeout_s=120) as client:
        sender = threading.Thread(target=client.send, args=(encode("GET", "fair") * PIPELINE,))
        sender.start()
        while received.value < PIPELINE_REPLY_BYTES:
            received.value += len(client.socket.recv(1 << 16))
        sender.join()


class FairnessTest(IntegrationTest):
    # One worker, so that all clients share it.
    cluster_options = {"primaries": 3, "replicas_per_primary": 0, "node_timeout_ms": 60000}
    proxy_flags = {"workers": 1}

    def test_a_deep_pipeline_starves_nobody(self):
        self.client.ok("SET", "fair", "1")
        received = multiprocessing.Value("q", 0)
        # A process of its own: two threads of one would take turns.
        greedy = multiprocessing.Process(target=send_deep_pipeline, args=(self.proxy.address, received))
        greedy.start()
        try:
            self.eventually(lambda: received.value > 0, message="the pipeline has begun")
            for _ in range(20):
                self.assertEqual(self.client.command("GET", "fair"), b"1")
            before_the_end = received.value
        finally:
            greedy.join()
        self.assertLess(before_the_end, PIPELINE_REPLY_BYTES, "one GET after the other waited for the whole pipeline")
        self.assertEqual(received.value, PIPELINE_REPLY_BYTES)

    def test_a_slow_shard_delays_no_other(self):
        slow = self.node_of("slow")
        keys = [key for key in (f"quick:{i}" for i in range(200)) if self.node_of(key) is not slow][:50]
        waiting = [self.proxy.client() for _ in range(20)]
        self.cluster.pause(slow)
        try:
            for client in waiting:
                client.send(encode("GET", "slow") * 100)
            slowest = 0.0
            for key in keys:
                began = time.monotonic()
                self.assertEqual(self.client.command("SET", key, "1"), "OK")
                slowest = max(slowest, time.monotonic() - began)
        finally:
            self.cluster.resume(slow)
        # The node sleeps for as long as this takes; a second is for a busy machine.
        self.assertLess(slowest, 1.0)
        for client in waiting:
            for _ in range(100):
                self.assertIsNone(client.read_reply())
            client.close()

    def test_sigterm_lets_go_of_those_that_wait(self):
        proxy = RcproxyProcess(self.cluster.addresses(), {"workers": 2, "drain_timeout_s": 20}).start()
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.end)
        with proxy.client() as blocked, proxy.client() as subscribed, proxy.client() as busy:
            blocked.send(encode("BLPOP", "nothing:comes", "0"))
            subscribed.send(encode("SUBSCRIBE", "news"))
            subscribed.read_reply()
            for index in range(100):
                self.assertEqual(busy.command("SET", f"drain:{index}", index), "OK")
            busy.send(encode("INCR", "drain:count") * 1000)
            self.assertEqual(busy.read_reply(), 1)
            began = time.monotonic()
            os.kill(proxy.pid, signal.SIGTERM)
            for count in range(2, 1001):
                self.assertEqual(busy.read_reply(), count)
            self.assertIsNone(blocked.read_reply(), "as if its time were over")
            for client in (busy, blocked, subscribed):
                with self.assertRaises(Disconnected):
                    client.read_reply()
            proxy.wait_for_exit()
        self.assertLess(time.monotonic() - began, 10, "it did not wait for those that wait for ever")


if __name__ == "__main__":
    unittest.main()
