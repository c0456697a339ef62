"""Bytes that are no RESP: each gets an error or a close, the process lives, and other clients notice nothing."""

import os
import random
import socket
import unittest

from testing.integration_base import IntegrationTest
from testing.resp_client import Disconnected, RespClient, RespError, encode

SEED = int(os.environ.get("RCPROXY_TEST_SEED", "20240601"))

# What makes the server answer a protocol error and close.
PROTOCOL_ERRORS = [
    (b"*x\r\n", "ERR Protocol error: invalid multibulk length"),
    (b"*3000000000\r\n", "ERR Protocol error: invalid multibulk length"),
    (b"*99999999999999999999\r\n", "ERR Protocol error: invalid multibulk length"),
    (b"*1\r\nx\r\n", "ERR Protocol error: expected '$', got 'x'"),
    (b"*1\r\n:1\r\n", "ERR Protocol error: expected '$', got ':'"),
    (b"*1\r\n$x\r\n", "ERR Protocol error: invalid bulk length"),
    (b"*1\r\n$-1\r\n", "ERR Protocol error: invalid bulk length"),
    (b"*1\r\n$9999999999\r\n", "ERR Protocol error: invalid bulk length"),
    (b'SET a "unbalanced\r\n', "ERR Protocol error: unbalanced quotes in request"),
    (b"*" + b"1" * 70_000, "ERR Protocol error: too big mbulk count string"),
    (b"*1\r\n$" + b"1" * 70_000, "ERR Protocol error: too big bulk count string"),
    (b"x" * 70_000, "ERR Protocol error: too big inline request"),
]


class MalformedTest(IntegrationTest):
    def outcome(self, data, address=None):
        """What a connection answers to `data` and its end: all bytes until it closes (b"" if reset)."""
        with RespClient(address or self.proxy.address, timeout_s=20) as client:
            try:
                client.send(data)
                client.half_close()
            except OSError:
                pass
            return client.read_to_end()

    def test_protocol_errors_have_the_servers_texts(self):
        for data, text in PROTOCOL_ERRORS:
            with self.proxy.client() as client:
                client.send(data)
                self.assertEqual(client.read_reply(), RespError(text), data[:40])
                with self.assertRaises((Disconnected, ConnectionResetError)):
                    client.read_reply()

    def test_texts_agree_with_a_server(self):
        for data, _ in PROTOCOL_ERRORS:
            with self.subTest(data=data[:40]):
                server = self.outcome(data, self.cluster.nodes[0].address)
                self.assertEqual(self.outcome(data), server)

    def test_commands_before_the_error_are_answered(self):
        good = encode("SET", "before", 1) + encode("GET", "before")
        reply = self.outcome(good + b"*1\r\n$x\r\n" + encode("SET", "before", 2))
        self.assertEqual(reply, b"+OK\r\n$1\r\n1\r\n-ERR Protocol error: invalid bulk length\r\n")
        self.assertEqual(self.client.command("GET", "before"), b"1")

    def test_every_truncation_and_every_wrong_byte(self):
        data = encode("SET", "cut", "value") + encode("MGET", "cut", "x")
        for index in range(len(data)):
            self.outcome(data[:index])
            for wrong in (b"\x00", b"\xff", b"\r", b"\n", b"*", b"9", b"-"):
                self.outcome(data[:index] + wrong + data[index + 1 :])
            self.assertEqual(self.client.command("PING"), "PONG", f"after byte {index}")

    def test_random_garbage(self):
        generator = random.Random(SEED)
        alphabet = [b"*", b"$", b"\r\n", b"\r", b"\n", b"-", b":", b"0", b"1", b"3", b"9" * 12, b"GET", b"SET", b'"',
                    b"'", b"\\x", b" ", b"\x00", b"\xff" * 5, b"MGET", b"PING",
                    encode("GET", "k")]  # fmt: skip
        with self.proxy.client() as witness:
            for round_number in range(3000):
                if generator.random() < 0.5:
                    data = b"".join(generator.choices(alphabet, k=generator.randint(1, 40)))
                else:
                    data = generator.randbytes(generator.randint(1, 400))
                self.throw(data, generator.random() < 0.5)
                if round_number % 50 == 0:
                    self.assertEqual(witness.command("SET", "witness", round_number), "OK", f"seed {SEED}")

    def throw(self, data, wait):
        """Sends and leaves: at once, by reset, or after what comes back."""
        with RespClient(self.proxy.address, timeout_s=20) as client:
            try:
                client.send(data)
                if wait:
                    client.half_close()
                    client.read_to_end()
                else:
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            except OSError:
                pass

    def test_an_announced_giant_takes_no_memory(self):
        before = self.proxy.rss_bytes()
        clients = [self.proxy.client() for _ in range(50)]
        for client in clients:
            client.send(b"*2\r\n$3\r\nGET\r\n$500000000\r\nabc")
        self.assert_proxy_serves()
        self.assertLess(self.proxy.rss_bytes() - before, 64 << 20)
        for client in clients:
            client.close()

    def test_cross_protocol_attack_is_cut(self):
        for data in (b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET attacked 1\r\n", b"Host: x\r\nSET attacked 1\r\n"):
            self.outcome(data)
            self.assertIsNone(self.client.command("GET", "attacked"))


if __name__ == "__main__":
    unittest.main()
