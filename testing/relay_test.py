"""The relay between rcproxy and the nodes carries what it is given, and does what it is asked to; by itself and, where
there is one, with a kernel that loses packets."""

import os
import socket
import subprocess
import sys
import threading
import time
import unittest

from testing import bad_network
from testing.background import LoopbackServer
from testing.relay import Relay

# Set where this runs in a namespace of its own.
KIND = os.environ.get("RCPROXY_TEST_NETWORK", "relay")


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
        self.relay = self.enterContext(Relay([self.echo.address], kernel=bad_network.in_kernel(KIND)))

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
        self.relay.set(self.echo.address, loss=0.3)
        began = time.monotonic()
        for i in range(20):
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

    @unittest.skipIf(KIND != "relay", "the packets are still to be repeated, and arrive")
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


class KernelTest(unittest.TestCase):
    """What bad_network finds here."""

    @staticmethod
    def names_of_namespaces():
        """Those that processes are in."""
        names = set()
        for entry in os.listdir("/proc"):
            try:
                names.add(os.readlink(f"/proc/{entry}/ns/net"))
            except OSError:
                pass  # No process, one that has ended, or somebody else's.
        return names

    def kinds(self):
        kinds = [kind for kind in bad_network.possible() if bad_network.in_kernel(kind)]
        if not kinds:
            self.skipTest("no namespaces, or nothing in this kernel that drops packets")
        return kinds

    def test_there_is_always_a_way(self):
        self.assertIn("relay", bad_network.possible())
        self.assertIsNone(bad_network.in_kernel("relay"))
        self.assertEqual(bad_network.own_namespace("relay"), [])

    @unittest.skipIf(KIND != "relay", "it is what runs")
    def test_the_relay_does_the_same_with_a_kernel_that_loses_packets(self):
        for kind in self.kinds():
            with self.subTest(kind=kind):
                test = [sys.executable, "-m", "unittest", "testing.relay_test.RelayTest"]
                environment = {**bad_network.environment(), "RCPROXY_TEST_NETWORK": kind}
                done = subprocess.run(bad_network.own_namespace(kind) + test, env=environment, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200)  # fmt: skip
                print(f"{kind}: {done.stdout}")
                self.assertEqual(done.returncode, 0, done.stdout)

    @unittest.skipIf(KIND != "relay", "it is what runs")
    def test_a_namespace_is_gone_with_its_processes(self):
        command = bad_network.own_namespace(self.kinds()[0]) + ["sh", "-c", "readlink /proc/self/ns/net; exec sleep 60"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=bad_network.environment())
        try:
            name = process.stdout.readline().strip()
            self.assertNotEqual(name, os.readlink("/proc/self/ns/net"))
            self.assertIn(name, self.names_of_namespaces())
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        self.assertNotIn(name, self.names_of_namespaces())

    def tc(self, *arguments, lines=""):
        """Returns why it failed, "" if it did not."""
        command = bad_network.own_namespace(self.kinds()[0]) + ["tc", *arguments]
        done = subprocess.run(command, input=lines, text=True, capture_output=True, env=bad_network.environment())
        return "" if done.returncode == 0 else done.stderr

    def test_tc_takes_what_it_is_told_about_the_ports(self):
        lines = "".join(f"{line}\n" for line in bad_network.Netem([12345, 12346]).setup("pfifo"))
        problem = self.tc("-batch", "-", lines=lines)
        if "kind is unknown" in problem:
            self.skipTest("this kernel has no HTB")
        self.assertEqual(problem, "")

    def test_tc_takes_what_it_is_told_about_netem(self):
        """It understands the words, whether this kernel knows netem or not."""
        for conditions in ({}, {"delay_ms": 20, "jitter_ms": 5}, {"loss": 0.123}, {"is_stalled": True}):
            words = bad_network.Netem.discipline(**conditions)
            problem = self.tc("qdisc", "add", "dev", "lo", "root", *words)
            self.assertIn(problem, ("", "Error: Specified qdisc kind is unknown.\n"), words)
            self.assertIn("What is", self.tc("qdisc", "add", "dev", "lo", "root", *words, "nonsense"))


if __name__ == "__main__":
    unittest.main()
