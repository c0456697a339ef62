"""The byte stream: any cut, any depth, any size, inline requests, and clients that close their half."""

import os
import random
import threading
import unittest

from testing.integration_base import IntegrationTest
from testing.resp_client import encode


class StreamTest(IntegrationTest):
    def test_byte_by_byte(self):
        data = encode("SET", "b", "v\r\n") + encode("GET", "b") + encode("MGET", "b", "none") + b"PING\r\n"
        for index in range(len(data)):
            self.client.send(data[index : index + 1])
        self.assertEqual([self.client.read_reply() for _ in range(4)], ["OK", b"v\r\n", [b"v\r\n", None], "PONG"])

    def test_random_cuts(self):
        generator = random.Random(7)
        commands = [("SET", f"cut:{i % 50}", "x" * generator.randint(0, 3000)) for i in range(200)]
        data = b"".join(encode(*command) for command in commands)
        while data:
            size = generator.randint(1, 5000)
            self.client.send(data[:size])
            data = data[size:]
        self.assertEqual({self.client.read_reply() for _ in commands}, {"OK"})
        last = {key: value.encode() for _, key, value in commands}
        self.assertEqual(self.client.command("MGET", *last), list(last.values()))

    def test_deep_pipeline(self):
        count = 50_000
        keys = [f"deep:{i % 1000}" for i in range(count // 2)]
        data = b"".join(encode("SET", key, i) + encode("GET", key) for i, key in enumerate(keys))
        sender = threading.Thread(target=self.client.send, args=(data,))
        sender.start()
        for index in range(count // 2):
            self.assertEqual(self.client.read_reply(), "OK")
            self.assertEqual(self.client.read_reply(), str(index).encode())
        sender.join()

    def test_half_closed_client_gets_all_replies(self):
        for _ in range(20):
            with self.proxy.client() as client:
                client.send(b"".join(encode("SET", f"half:{i}", i) for i in range(100)) + encode("GET", "half:7"))
                client.half_close()
                self.assertEqual(client.read_to_end(), b"+OK\r\n" * 100 + b"$1\r\n7\r\n")

    def test_inline(self):
        self.client.send(b'SET inline "a b\\x41\\r\\n"\r\nGET inline\nget \'inline\'\r\n\r\n\r\nPING\r\n')
        value = b"a bA\r\n"
        self.assertEqual([self.client.read_reply() for _ in range(4)], ["OK", value, value, "PONG"])
        self.client.send(b"GET inline\r\n" + encode("GET", "inline") + b"EXISTS inline inline none\r\n")
        self.assertEqual([self.client.read_reply() for _ in range(3)], [value, value, 2])

    def test_empty_requests_are_ignored(self):
        self.client.send(b"*0\r\n*-1\r\n\r\n" + encode("PING"))
        self.assertEqual(self.client.read_reply(), "PONG")

    def test_replies_keep_the_order_of_fast_and_slow_commands(self):
        commands = []
        for index in range(300):
            commands += [("SET", f"o:{index}", index), ("PING", index), ("ECHO", index),
                         ("MGET", f"o:{index}", "o:0"), ("NOSUCH", index), ("GET", f"o:{index}")]  # fmt: skip
        replies = self.client.pipeline(commands)
        for index in range(300):
            text = str(index).encode()
            part = replies[index * 6 : index * 6 + 6]
            self.assertEqual(part[:4] + part[5:], ["OK", text, text, [text, b"0"], text])
            self.assertIn(f"'{index}'", part[4].text)


class SizeTest(IntegrationTest):
    def check_value(self, size):
        value = os.urandom(1 << 16) * (size >> 16)
        self.assertEqual(self.client.command("SET", "large", value), "OK")
        self.assertEqual(self.client.command("GET", "large"), value)
        return value

    def test_1_mib(self):
        value = self.check_value(1 << 20)
        self.assertEqual(self.client.command("MGET", "large", "none", "large"), [value, None, value])
        self.assertEqual(self.client.command("MSET", "l1", value, "l2", value, "l3", value), "OK")
        self.assertEqual(self.client.command("MGET", "l3", "l2", "l1"), [value] * 3)

    def test_32_mib(self):
        self.check_value(32 << 20)

    def test_sizes_around_buffer_limits(self):
        for power in (9, 12, 14, 15, 16, 17):
            for size in range((1 << power) - 40, (1 << power) + 3, 7):
                value = bytes(index & 0xFF for index in range(size))
                self.assertEqual(self.client.command("SET", f"size:{power}", value), "OK")
                self.assertEqual(self.client.command("GET", f"size:{power}"), value)

    def test_large_and_small_in_one_pipeline(self):
        large = b"L" * 300_000
        commands = []
        for index in range(30):
            commands += [("SET", f"mix:{index}", large), ("GET", f"mix:{index}"), ("SET", f"small:{index}", index)]
        sender = threading.Thread(target=self.client.send, args=(b"".join(encode(*c) for c in commands),))
        sender.start()
        self.assertEqual([self.client.read_reply() for _ in commands], ["OK", large, "OK"] * 30)
        sender.join()


if __name__ == "__main__":
    unittest.main()
