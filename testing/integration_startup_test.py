"""Start and end of the process: flags, addresses, seeds that are absent, silent or talk nonsense, signals, crashes."""

import ctypes
import os
import signal
import socket
import tempfile
import time
import unittest
import unittest.mock

from testing import processes, rcproxy_process
from testing.background import LoopbackServer
from testing.cluster import Cluster
from testing.rcproxy_process import RcproxyProcess
from testing.resp_client import Disconnected, RespClient, RespError, encode


class FakeSeed(LoopbackServer):
    """A listener that accepts and then does what `answer` says: bytes to send to whatever comes, or None."""

    def __init__(self, answer=None):
        self._answer = answer
        self._connections = []
        super().__init__()

    def serve(self, connection):
        self._connections.append(connection)
        if self._answer is None:
            return
        try:
            while connection.recv(65536):
                connection.sendall(self._answer)
        except OSError:
            pass

    def close(self):
        super().close()
        for connection in self._connections:
            connection.close()


class StartupTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(primaries=3, replicas_per_primary=0)
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()

    def launched(self, *arguments, **named):
        proxy = RcproxyProcess(*arguments, **named)
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.end)
        proxy.launch()
        return proxy

    def assert_refuses(self, proxy, *texts):
        """Ends soon with an exit code that says failure, and names what is wrong."""
        self.assertNotEqual(proxy.wait_for_exit(), 0)
        for text in texts:
            self.assertIn(text, proxy.output())
        proxy.check_output()

    def assert_serves(self, proxy):
        self.assertTrue(proxy.wait_until_ready(), proxy.output()[-3000:])
        with proxy.client() as client:
            self.assertEqual(client.command("SET", "k", "v"), "OK")
            self.assertEqual(client.command("MGET", "k", "x", "y"), [b"v", None, None])

    # Flags.

    def test_version_and_help(self):
        proxy = self.launched(extra_arguments=["--version"])
        self.assertEqual(proxy.wait_for_exit(), 0)
        self.assertIn("rcproxy", proxy.output())

    def test_unknown_flag(self):
        self.assert_refuses(self.launched(self.cluster.addresses(), {"nonsense": 1}), "nonsense")

    def test_bad_values(self):
        seeds = self.cluster.addresses()
        for flags in ({"workers": "many"}, {"workers": -1}, {"addr": "127.0.0.1"}, {"addr": "127.0.0.1:99999"},
                      {"startup_nodes": "nohost"}, {"startup_nodes": ""}, {"startup_nodes": "127.0.0.1:0"},
                      {"request_timeout": "-5s"}, {"request_timeout": "soon"}):  # fmt: skip
            with self.subTest(flags=flags):
                self.assert_refuses(self.launched(seeds, flags), next(iter(flags)))

    def test_flagfile(self):
        address = f"127.0.0.1:{processes.free_port()}"
        proxy = RcproxyProcess()
        self.addCleanup(proxy.remove)
        path = os.path.join(proxy.directory, "flags.txt")
        with open(path, "w") as flags:
            flags.write(f"# A comment.\n--startup_nodes={','.join(self.cluster.addresses())}\n--workers=1\n")
        proxy = self.launched(flags={"addr": address}, extra_arguments=[f"--flagfile={path}"])
        self.assert_serves(proxy)
        proxy.stop()

    def test_missing_flagfile(self):
        self.assert_refuses(self.launched(extra_arguments=["--flagfile=/nonexistent/flags"]), "/nonexistent/flags")

    def test_a_line_of_a_flagfile_that_is_no_flag(self):
        for line in ("--requirpass=hidden", "requirepass=hidden", "--requirepass hidden"):
            with self.subTest(line=line):
                proxy = RcproxyProcess()
                self.addCleanup(proxy.remove)
                path = os.path.join(proxy.directory, "flags.txt")
                with open(path, "w") as flags:
                    flags.write(f"--workers=1\n{line}\n")
                proxy = self.launched(self.cluster.addresses(), extra_arguments=[f"--flagfile={path}"])
                self.assert_refuses(proxy, f"{path} line 2: ")
                self.assertNotIn("hidden", proxy.output())

    # Open files.

    def launched_with_open_files(self, limit, **flags):
        proxy = RcproxyProcess(self.cluster.addresses(), flags)
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.end)
        script = os.path.join(proxy.directory, "limited.sh")
        with open(script, "w") as file:
            file.write(f'#!/bin/sh\nulimit -n {limit}\nexec {rcproxy_process.binary()} "$@"\n')
        os.chmod(script, 0o755)
        with unittest.mock.patch.object(rcproxy_process, "binary", return_value=script):
            proxy.launch()
        return proxy

    def test_clients_are_as_many_as_open_files_allow(self):
        for flags, clients in (({}, 12), ({"maxclients": 5}, 5)):
            proxy = self.launched_with_open_files(140, workers=1, **flags)
            self.assert_serves(proxy)
            with proxy.client() as client:
                while b"\r\nconnected_clients:1\r\n" not in client.command("INFO", "clients"):
                    time.sleep(0.01)
            time.sleep(0.1)  # This one's end is seen.
            others = [proxy.client(timeout_s=5) for _ in range(30)]
            replies = []
            for client in others:
                self.addCleanup(client.close)
                try:
                    replies.append(client.command("GET", "k"))
                except Disconnected:
                    replies.append(None)
            self.assertEqual(replies.count(b"v"), clients)
            self.assertEqual(others[0].command("CONFIG", "GET", "maxclients")[1], b"%d" % clients)
            self.assertIn(b"\r\nmaxclients:%d\r\n" % clients, others[0].command("INFO", "clients"))
            self.assertEqual(others[0].command("MGET", "k", "x", "y"), [b"v", None, None])

    def test_too_few_open_files_for_nodes(self):
        self.assert_refuses(self.launched_with_open_files(64, workers=1, maxclients=20), "ulimit -n", "148")

    # Addresses.

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = "127.0.0.1:%d" % other.getsockname()[1]
            self.assert_refuses(self.launched(self.cluster.addresses(), {"addr": address}), address, "in use")

    def test_an_address_that_one_without_nodes_has_taken(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "socket")
            for address in (f"127.0.0.1:{processes.free_port()}", path):
                first = self.launched([f"127.0.0.1:{processes.free_port()}"], {"addr": address})
                while "cannot" not in first.output() and "refused" not in first.output():
                    self.assertTrue(first.is_running(), first.output())
                    time.sleep(0.02)
                second = self.launched(self.cluster.addresses(), {"addr": address})
                self.assertEqual(second.wait_for_exit(), 1)
                self.assertIn(f"cannot listen on {address}: Address already in use", second.output())
                self.assertTrue(first.is_running())
                first.stop()
            self.assertFalse(os.path.exists(path))

    def test_an_address_that_is_named_twice(self):
        address = f"127.0.0.1:{processes.free_port()}"
        for flags in ({"addr": f"{address},{address}"}, {"addr": address, "replica_addr": address}):
            self.assert_refuses(self.launched(self.cluster.addresses(), flags), address, "twice")

    def test_several_addresses_and_a_unix_socket(self):
        proxy = RcproxyProcess()
        self.addCleanup(proxy.remove)
        path = os.path.join(proxy.directory, "socket")
        ports = [processes.free_port(), processes.free_port()]
        addresses = [f"127.0.0.1:{port}" for port in ports] + [path]
        proxy = self.launched(self.cluster.addresses(), {"addr": ",".join(addresses), "workers": 2})
        self.assert_serves(proxy)
        for address in addresses:
            with RespClient(address) as client:
                self.assertEqual(client.command("GET", "k"), b"v", address)
        proxy.stop()
        self.assertFalse(os.path.exists(path), "the socket's path outlives the process")

    # Seeds.

    def test_one_good_seed_is_enough(self):
        closed = f"127.0.0.1:{processes.free_port()}"
        silent = FakeSeed()
        self.addCleanup(silent.close)
        garbage = FakeSeed(b"\x00\xffthis is not RESP\r\n" * 50)
        self.addCleanup(garbage.close)
        wrong = FakeSeed(b"*1\r\n*3\r\n:5\r\n:notanumber\r\n*-7\r\n")
        self.addCleanup(wrong.close)
        seeds = [closed, silent.address, garbage.address, wrong.address, self.cluster.addresses()[0]]
        for first in range(len(seeds)):
            proxy = self.launched(seeds[first:] + seeds[:first])
            self.assert_serves(proxy)
            proxy.stop()

    def test_seeds_that_come_later(self):
        port = processes.free_port()
        proxy = self.launched([f"127.0.0.1:{port}"])
        time.sleep(1.5)
        self.assertTrue(proxy.is_running(), proxy.output())
        with Cluster(primaries=1, replicas_per_primary=0, ports=[port]) as late:
            self.assertEqual(late.nodes[0].port, port)
            self.assert_serves(proxy)
            proxy.stop()

    def test_unreachable_seeds_end_the_process_if_asked_to(self):
        closed = f"127.0.0.1:{processes.free_port()}"
        began = time.monotonic()
        proxy = self.launched([closed], {"startup_timeout_s": 1})
        self.assert_refuses(proxy, closed)
        self.assertLess(time.monotonic() - began, 20)

    def test_silent_and_garbage_seeds_do_not_count_as_a_cluster(self):
        answers = (None, b"+OK\r\n", b"-ERR no\r\n", b"*0\r\n", b"$-1\r\n", b"\xff" * 100, b"HTTP/1.1 400 Bad\r\n\r\n")
        for answer in answers:
            with self.subTest(answer=answer):
                seed = FakeSeed(answer)
                self.addCleanup(seed.close)
                self.assert_refuses(self.launched([seed.address], {"startup_timeout_s": 2}), seed.address)

    # Signals.

    def test_sigterm_and_sigint(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            proxy = self.launched(self.cluster.addresses(), {"workers": 2})
            self.assert_serves(proxy)
            with proxy.client() as idle:
                os.kill(proxy.pid, number)
                self.assertEqual(proxy.wait_for_exit(), 0)
                self.assertEqual(idle.read_to_end(), b"")
            proxy.check_output()

    def test_sigterm_before_the_cluster_is_known(self):
        proxy = self.launched([f"127.0.0.1:{processes.free_port()}"])
        time.sleep(1)
        proxy.stop()

    def test_requests_in_flight_are_answered_at_the_end(self):
        proxy = self.launched(self.cluster.addresses())
        self.assert_serves(proxy)
        with proxy.client() as client:
            client.send(b"SET drain 1\r\n" * 200)
            self.assertEqual(client.read_reply(), "OK")
            os.kill(proxy.pid, signal.SIGTERM)
            answered = client.read_to_end()
        self.assertEqual(answered.replace(b"+OK\r\n", b""), b"")
        self.assertEqual(proxy.wait_for_exit(), 0)

    def test_a_client_that_blocks_is_answered_at_the_end(self):
        proxy = self.launched(self.cluster.addresses())
        self.assert_serves(proxy)
        with proxy.client() as client, proxy.client() as other:
            client.send(encode("BLPOP", "nothing", 0))
            while b"cmd=blpop" not in other.ok("CLIENT", "LIST"):
                time.sleep(0.02)
            self.assertEqual(other.ok("SET", "drain", 1), "OK")
            os.kill(proxy.pid, signal.SIGTERM)
            self.assertEqual(client.read_to_end(), b"*-1\r\n")
        self.assertEqual(proxy.wait_for_exit(), 0)

    # Crashes.

    @staticmethod
    def worker_of(proxy):
        """Its first thread beside the main one: workers are started before any other."""
        return sorted(int(thread) for thread in os.listdir(f"/proc/{proxy.pid}/task"))[1]

    def test_a_crash_leaves_a_stack_trace_and_is_seen_in_the_exit_code(self):
        for number in (signal.SIGSEGV, signal.SIGABRT):
            with self.subTest(signal=number.name):
                proxy = self.launched(self.cluster.addresses(), {"workers": 1})
                self.assert_serves(proxy)
                self.assertEqual(ctypes.CDLL(None).tgkill(proxy.pid, self.worker_of(proxy), int(number)), 0)
                self.assertEqual(proxy.wait_for_exit(), -number)
                _, found, trace = proxy.output().partition(f"*** {number.name} ")
                self.assertTrue(found, proxy.output())
                self.assertIn("stack trace", trace)
                # As C++ writes the name, or as the linker does.
                self.assertRegex(trace, r"@ +0x[0-9a-f]+ .*(rcproxy::proxy::Worker::|7rcproxy5proxy6Worker)")

    def test_restart_on_the_same_address(self):
        address = f"127.0.0.1:{processes.free_port()}"
        for _ in range(3):
            proxy = self.launched(self.cluster.addresses(), {"addr": address})
            self.assert_serves(proxy)
            with proxy.client() as client:
                self.assertNotIsInstance(client.command("INFO"), RespError)
                proxy.stop()


if __name__ == "__main__":
    unittest.main()
