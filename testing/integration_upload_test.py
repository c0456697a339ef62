"""Large commands, which are passed on to their node while they arrive, through rcproxy on a real cluster."""

import contextlib
import random
import threading
import time
import unittest

from testing.integration_base import IntegrationTest
from testing.resp_client import encode

MIB = 1 << 20


class UploadTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 0, "node_timeout_ms": 5000}
    proxy_flags = {"workers": 1}

    def test_values_come_back_as_they_were(self):
        before = self.counter("uploads")
        generator = random.Random(1)
        for size in (MIB - 1, MIB, MIB + 1, 3 * MIB + 17, 20 * MIB):
            value = generator.randbytes(size)
            self.assertEqual(self.client.command("SET", f"value:{size}", value), "OK")
            self.assertEqual(self.node_of(f"value:{size}").command("GET", f"value:{size}"), value)
            self.assertEqual(self.client.command("GET", f"value:{size}"), value)
            self.assertEqual(self.client.command("SET", f"value:{size}", value, "EX", 100), "OK")
            self.assertEqual(self.client.command("APPEND", f"value:{size}", value), 2 * size)
            self.assertEqual(self.client.command("DEL", f"value:{size}"), 1)
        self.assertGreaterEqual(self.counter("uploads") - before, 12)

    def test_errors_are_the_nodes(self):
        self.client.command("RPUSH", "list", "x")
        self.assert_error(self.client.command("APPEND", "list", bytes(2 * MIB)), "WRONGTYPE")
        self.assert_error(self.client.command("SET", "list", bytes(2 * MIB), "NOSUCH"), "ERR syntax error")
        self.assertEqual(self.client.command("LLEN", "list"), 1)

    @contextlib.contextmanager
    def memory_grows_less_than(self, limit):
        before = self.proxy.rss_bytes()
        peak = [0]
        done = threading.Event()

        def watch():
            while not done.wait(0.02):
                peak[0] = max(peak[0], self.proxy.rss_bytes())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        print(f"RSS before {before / MIB:.1f} MiB, peak {peak[0] / MIB:.1f} MiB")
        self.assertLess(peak[0] - before, limit)

    def test_a_value_of_half_a_gigabyte_is_never_held(self):
        size = 512 * MIB - 1
        with self.proxy.client(timeout_s=120) as client, self.proxy.client(timeout_s=1) as other:
            with self.memory_grows_less_than(24 * MIB):
                client.send(b"*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$%d\r\n" % size)
                chunk = bytes(MIB)
                for _ in range(511):
                    client.send(chunk)
                client.send(chunk[:-1] + b"\r\n")
                self.assertEqual(client.read_reply(), "OK")
            self.assertEqual(client.command("STRLEN", "huge"), size)
            before = self.counter("connections_set_aside")
            with self.memory_grows_less_than(24 * MIB):
                client.send(encode("GET", "huge"))
                # Until the node has copied its value, everybody waits for the node.
                self.eventually(lambda: self.counter("connections_set_aside") > before, timeout_s=60)
                time.sleep(2)  # Longer than --client_stall_timeout: it holds nobody up.
                left = size + len(b"$%d\r\n\r\n" % size)
                while left > 0:
                    left -= len(client.socket.recv(min(left, 8 * MIB)))
                    self.assertEqual(other.command("EXISTS", "huge"), 1)
            self.assertEqual(client.command("DEL", "huge"), 1)

    def test_a_node_that_does_not_read_holds_only_its_client_up(self):
        node = self.node_of("held")
        elsewhere = next(key for key in map(str, range(100)) if self.node_of(key) is not node)
        before = self.proxy.rss_bytes()
        command = encode("SET", "held", bytes(100 * MIB))
        with self.proxy.client() as client, self.proxy.client() as other:
            client.send(command[: 2 * MIB])
            time.sleep(0.2)
            self.cluster.pause(node)
            try:
                writer = threading.Thread(target=client.send, args=(command[2 * MIB :],))
                writer.start()
                time.sleep(1)
                self.assertTrue(writer.is_alive())
                self.assertLess(self.proxy.rss_bytes() - before, 24 * MIB)
                waiting = [int(line.split(b" qbuf=")[1].split()[0])
                           for line in other.command("CLIENT", "LIST").splitlines()]  # fmt: skip
                self.assertTrue(256 << 10 <= max(waiting) <= 8 * MIB, waiting)
                self.assertEqual(other.command("SET", elsewhere, 1), "OK")
            finally:
                self.cluster.resume(node)
            writer.join()
            self.assertEqual(client.read_reply(), "OK")
            self.assertEqual(client.command("STRLEN", "held"), 100 * MIB)

    def test_clients_that_leave_half_way(self):
        for number in range(30):
            with self.proxy.client() as client:
                client.send(encode("SET", f"left:{number}", bytes(4 * MIB))[: (number * 130_000) + 100])
        self.eventually(lambda: self.counter("own_connections") == 0)
        for number in range(30):
            self.assertEqual(self.client.command("EXISTS", f"left:{number}"), 0)

    def test_a_node_that_dies_half_way(self):
        node = self.node_of("dies")
        with self.proxy.client() as client:
            command = encode("SET", "dies", bytes(64 * MIB))
            client.send(command[: 2 * MIB])
            time.sleep(0.2)
            self.cluster.kill(node)
            try:
                client.send(command[2 * MIB :])
                self.assert_error(client.read_reply(), "ERR upstream lost")
                self.assertEqual(client.command("PING"), "PONG")
            finally:
                self.cluster.restart(node)
        self.eventually(lambda: self.client.command("SET", "dies", 1) == "OK", timeout_s=30)

    def test_slots_move_under_large_writes(self):
        stop = threading.Event()
        seen = {"ok": 0, "moved": 0, "other": []}

        def write():
            with self.proxy.client() as client:
                number = 0
                while not stop.is_set():
                    number += 1
                    reply = client.command("SET", "{moves}", b"%08d" % number + bytes(MIB))
                    if reply == "OK":
                        seen["ok"] += 1
                        written = client.command("GETRANGE", "{moves}", 0, 7)
                        if written != b"%08d" % number:
                            seen["other"].append(written)
                    elif reply.text.startswith("ERR upstream moved"):
                        seen["moved"] += 1
                    else:
                        seen["other"].append(reply)

        writer = threading.Thread(target=write)
        writer.start()
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", "{moves}")
        for _ in range(10):
            source, target = self.owner_and_another("{moves}")
            self.cluster.migrate_slot(slot, source, target)
            time.sleep(0.1)
        stop.set()
        writer.join()
        print(seen)
        self.assertEqual(seen["other"], [])
        self.assertGreater(seen["ok"], 10)


if __name__ == "__main__":
    unittest.main()
