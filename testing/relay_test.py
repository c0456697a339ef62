"""The relay between rcproxy and the nodes carries what it is given, and does what it is asked to."""

import socket
import threading
import time
import unittest

from testing.background import LoopbackServer
from testing.relay import Relay


class _Echo(LoopbackServer):
    """Says what it hears."""

    def __init__(self):
        self.heard = b""
        self.open = 0
        self._lock = threading.Lock()
        super().__init__()

    def serve(self, connection):
        with self._lock:
            self.open += 1
        with connection:
            try:
                while data := connection.recv(65536):
                    with self._lock:
                        self.heard += data
                    connection.sendall(data)
            except OSError:
                pass
        with self._lock:
            self.open -= 1


class RelayTest(unittest.TestCase):
    def setUp(self):
        self.echo = self.enterContext(_Echo())
        self.relay = self.enterContext(Relay([self.echo.address]))

    def connect(self):
        host, _, port = self.relay.address_of(self.echo.address).rpartition(":")
        connection = socket.create_connection((host, int(port)), timeout=20)
        self.addCleanup(connection.close)
        return connection

    def hear(self, connection, text):
        heard = b""
        while len(heard) < len(text):
            more = connection.recv(1 << 16)
            self.assertNotEqual(more, b"", f"closed after {len(heard)} bytes")
            heard += more
        self.assertEqual(heard, text)

    @staticmethod
    def talk(connection):
        connection.sendall(b"x")
        while connection.recv(100):
            pass

    def test_it_carries_everything_in_order(self):
        connection = self.connect()
        text = b"".join(b"%d " % i for i in range(200_000))
        threading.Thread(target=connection.sendall, args=(text,)).start()
        self.hear(connection, text)

    def test_what_is_delayed_comes_later(self):
        connection = self.connect()
        self.relay.set(self.echo.address, delay_ms=100)
        began = time.monotonic()
        connection.sendall(b"one")
        self.hear(connection, b"one")
        self.assertGreater(time.monotonic() - began, 0.2, "there and back")

    def test_what_is_lost_is_repeated_later_and_holds_up_the_rest(self):
        connection = self.connect()
        self.relay.set(self.echo.address, loss=0.5)
        began = time.monotonic()
        for i in range(4):
            connection.sendall(b"%02d" % i)
            self.hear(connection, b"%02d" % i)
        self.assertGreater(time.monotonic() - began, 0.2)

    def test_a_stall_tells_nobody_and_loses_nothing(self):
        connection = self.connect()
        connection.sendall(b"before")
        self.hear(connection, b"before")
        self.relay.set(self.echo.address, is_stalled=True)
        connection.sendall(b"during")
        connection.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            connection.recv(1)
        connection.settimeout(20)
        self.relay.heal()
        self.hear(connection, b"during")

    def test_resets_end_connections_and_refusal_goes_on_until_it_is_healed(self):
        connection = self.connect()
        connection.sendall(b"x")
        self.hear(connection, b"x")
        self.relay.reset(self.echo.address)
        with self.assertRaises(ConnectionResetError):
            self.talk(connection)
        self.relay.set(self.echo.address, is_refused=True)
        with self.assertRaises(ConnectionResetError):  # Perhaps before connect() has returned.
            self.talk(self.connect())
        self.relay.heal()
        connection = self.connect()
        connection.sendall(b"again")
        self.hear(connection, b"again")

    def test_one_that_left_takes_along_what_was_on_its_way(self):
        connection = self.connect()
        connection.sendall(b"x")
        self.hear(connection, b"x")
        self.relay.set(self.echo.address, is_stalled=True)
        connection.sendall(b"late")
        connection.close()
        deadline = time.monotonic() + 20
        while self.echo.open > 0:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        self.relay.heal()
        other = self.connect()
        other.sendall(b"own")
        self.hear(other, b"own")
        self.assertNotIn(b"late", self.echo.heard)

    def test_it_says_where_nodes_are_reached(self):
        self.assertEqual(
            self.relay.node_addresses(), f"{self.echo.address}={self.relay.address_of(self.echo.address)}"
        )
        self.assertTrue(self.relay.leads_to(self.echo.address))
        self.assertFalse(self.relay.leads_to("127.0.0.1:1"))


if __name__ == "__main__":
    unittest.main()
