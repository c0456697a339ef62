"""Base of the integration tests: one cluster and one rcproxy before it, shared by the cases of a class."""

import time
import unittest

from testing.cluster import Cluster
from testing.rcproxy_process import RcproxyProcess
from testing.resp_client import RespError
from testing.standalone_server import StandaloneServer


def counter(client, name):
    """What rcproxy counts, as INFO tells it."""
    for line in client.ok("INFO", "proxy").decode().splitlines():
        if line.startswith(f"rcproxy_{name}:"):
            return int(line.split(":")[1])
    raise KeyError(name)


class IntegrationTest(unittest.TestCase):
    """Classes set `cluster_options` (arguments of Cluster) and `proxy_flags` where the defaults do not do.

    After every class rcproxy must still be the process that was started, must end with code 0 on SIGTERM, and
    must not have printed an alarm.
    """

    cluster_options = {"primaries": 3, "replicas_per_primary": 0}
    proxy_flags = {}

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(**cls.cluster_options)
        try:
            cls.cluster.start()
            cls.proxy = RcproxyProcess(cls.cluster.addresses(), {"workers": 2, **cls.flags()})
            cls.proxy.start()
        except BaseException:
            cls.cluster.stop()
            raise
        cls.pid = cls.proxy.pid

    @classmethod
    def flags(cls):
        """For those that depend on the cluster, which is there when this is called."""
        return cls.proxy_flags

    @classmethod
    def tearDownClass(cls):
        try:
            cls.proxy.stop()
        finally:
            cls.proxy.end()
            cls.proxy.remove()
            cls.cluster.stop()

    def setUp(self):
        self.client = self.proxy.client()
        self.addCleanup(self.client.close)

    def tearDown(self):
        self.assert_proxy_serves()

    def assert_proxy_serves(self):
        """The process lives and a new client is served, on every primary."""
        self.assertTrue(self.proxy.is_running(), self.proxy.output()[-4000:])
        with self.proxy.client() as client:
            for index in range(20):
                self.assertEqual(client.command("SET", f"alive:{index}", index), "OK")

    def assert_error(self, reply, prefix):
        self.assertIsInstance(reply, RespError)
        self.assertTrue(reply.text.startswith(prefix), f"{reply.text!r} does not start with {prefix!r}")

    def node_of(self, key):
        """The primary that owns the key's slot."""
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", key)
        return next(node for node in self.cluster.primaries() if slot in set(self.cluster.slots_of(node)))

    def owner_and_another(self, key):
        """The primary that owns the key's slot, and a primary that does not."""
        owner = self.node_of(key)
        return owner, next(node for node in self.cluster.primaries() if node is not owner)

    def counter(self, name):
        return counter(self.client, name)

    def eventually(self, condition, timeout_s=10, message="condition"):
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"not within {timeout_s} s: {message}")
            time.sleep(0.05)


class BesideOneServerTest(IntegrationTest):
    """Has a server without a cluster, too: what rcproxy is compared with."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = StandaloneServer()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        super().tearDownClass()
