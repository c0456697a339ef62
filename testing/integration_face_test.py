"""--face=cluster: what rcproxy says about itself is what a real cluster node says, field by field, and clients that
speak to clusters only work with it; --face=standalone hides the cluster."""

import os
import subprocess
import unittest

import redis

from testing import processes
from testing.integration_base import IntegrationTest
from testing.rcproxy_process import RcproxyProcess
from testing.resp_client import RespClient
from testing.resp_frames import FrameClient, shape


class DescriptionTest(IntegrationTest):
    """One node owns all slots, as one rcproxy does: both describe a cluster of the same form."""

    # A node that is alone has to be told its address.
    cluster_options = {"primaries": 1, "replicas_per_primary": 0, "options": {"cluster-announce-ip": "127.0.0.1"}}
    proxy_flags = {"face": "cluster"}

    def ask(self, address, protocol, *command):
        with FrameClient(address) as client:
            if protocol == 3:
                client.command("HELLO", 3)
            return client.command(*command)

    def both(self, protocol, *command):
        addresses = self.cluster.nodes[0].address, self.proxy.address
        return [self.ask(address, protocol, *command) for address in addresses]

    def test_the_shapes_are_those_of_a_node(self):
        commands = ["CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER NODES", "CLUSTER INFO", "CLUSTER MYID", "HELLO"]
        for protocol in (2, 3):
            for command in commands:
                theirs, ours = self.both(protocol, *command.split())
                self.assertEqual(shape(ours), shape(theirs), command)

    def test_the_maps_are_those_of_a_node_but_for_who_it_is(self):
        node = self.cluster.nodes[0]
        host, _, port = self.proxy.address.rpartition(":")
        my_id = self.client.command("CLUSTER", "MYID")
        self.assertRegex(my_id.decode(), "^[0-9a-f]{40}$")
        for protocol in (2, 3):
            for command in ("CLUSTER SLOTS", "CLUSTER SHARDS"):
                theirs, ours = self.both(protocol, *command.split())
                theirs = theirs.replace(node.id.encode(), my_id)
                theirs = theirs.replace(b":%d\r\n" % node.port, b":%s\r\n" % port.encode())
                self.assertEqual(host, node.host)
                self.assertEqual(ours, theirs, command)

    def test_the_line_of_a_node(self):
        lines = [reply.split(b"\r\n")[1] for reply in self.both(2, "CLUSTER", "NODES")]
        theirs, ours = (line.decode().rstrip("\n").split(" ") for line in lines)
        port = int(self.proxy.address.rpartition(":")[2])
        self.assertEqual(ours[1], f"127.0.0.1:{port}@{port + 10000 if port <= 55535 else 0}")
        self.assertEqual(ours[2:5], theirs[2:5])
        self.assertRegex(ours[5], "^[0-9]{13}$")  # A node that is alone has never heard a pong.
        self.assertEqual(ours[7:], theirs[7:])
        self.assertEqual(len(ours), len(theirs))

    def test_the_fields_of_cluster_info(self):
        def fields(reply):
            lines = reply.split(b"\r\n")[1:]
            # A node counts its messages by type, as far as it has sent any.
            return dict(line.split(b":") for line in lines if b":" in line and b"_messages_" not in line)

        theirs, ours = (fields(reply) for reply in self.both(2, "CLUSTER", "INFO"))
        self.assertEqual(list(ours), list(theirs))
        for name in ("state", "slots_assigned", "slots_ok", "known_nodes", "size"):
            self.assertEqual(ours[b"cluster_" + name.encode()], theirs[b"cluster_" + name.encode()], name)

    def test_replies_that_are_the_same_bytes(self):
        commands = [
            "CLUSTER LINKS", "CLUSTER KEYSLOT {a}b", "CLUSTER COUNTKEYSINSLOT 5", "CLUSTER COUNTKEYSINSLOT 16384",
            "CLUSTER COUNTKEYSINSLOT x", "CLUSTER GETKEYSINSLOT 5 10", "CLUSTER GETKEYSINSLOT 5 -1",
            "CLUSTER GETKEYSINSLOT 5 x", "CLUSTER GETKEYSINSLOT 99999 1", "CLUSTER REPLICAS abc", "CLUSTER SLAVES abc",
            "CLUSTER COUNT-FAILURE-REPORTS abc", "CLUSTER NOSUCH", "CLUSTER", "CLUSTER KEYSLOT", "CLUSTER SLOTS x",
            "ASKING", "READONLY", "READWRITE", "SELECT 0", "SELECT 1", "CONFIG GET cluster-enabled",
        ]  # fmt: skip
        for protocol in (2, 3):
            for command in commands:
                theirs, ours = self.both(protocol, *command.split())
                self.assertEqual(ours, theirs, command)
        theirs, ours = self.both(2, "INFO", "cluster")
        self.assertIn(theirs.split(b"\r\n", 1)[1].rstrip(), ours)
        for command in ("REPLICAS", "SLAVES", "COUNT-FAILURE-REPORTS"):
            theirs = self.cluster.nodes[0].command("CLUSTER", command, self.cluster.nodes[0].id)
            ours = self.client.command("CLUSTER", command, self.client.command("CLUSTER", "MYID"))
            self.assertEqual(ours, theirs)

    def test_the_owner_counts_the_keys_of_a_slot(self):
        for index in range(30):
            self.client.ok("SET", f"{{tag}}{index}", index)
        slot = self.client.ok("CLUSTER", "KEYSLOT", "{tag}")
        self.assertEqual(self.client.ok("CLUSTER", "COUNTKEYSINSLOT", slot), 30)
        self.assertEqual(len(self.client.ok("CLUSTER", "GETKEYSINSLOT", slot, 10)), 10)


class AddressTest(IntegrationTest):
    """Without a list rcproxy is where the client has found it."""

    def test_each_client_is_told_the_address_that_it_uses(self):
        ports = [processes.free_port() for _ in range(2)]
        path = os.path.join(self.proxy.directory, "face.sock")
        flags = {"face": "cluster", "addr": f"127.0.0.1:{ports[0]},[::]:{ports[1]},{path}"}
        with RcproxyProcess(self.cluster.addresses(), flags):
            expected = {
                f"127.0.0.1:{ports[0]}": ("127.0.0.1", ports[0]),
                f"127.0.0.1:{ports[1]}": ("127.0.0.1", ports[1]),
                f"127.0.0.2:{ports[1]}": ("127.0.0.2", ports[1]),
                f"[::1]:{ports[1]}": ("::1", ports[1]),
                path: ("127.0.0.1", ports[0]),
            }
            for address, (host, port) in expected.items():
                with RespClient(address) as client:
                    [[first, last, node]] = client.command("CLUSTER", "SLOTS")
                    self.assertEqual((first, last, node[0].decode(), node[1]), (0, 16383, host, port))
                    self.assertIn(f" {host}:{port}@", client.command("CLUSTER", "NODES").decode())


class FleetTest(IntegrationTest):
    """Two rcproxies before three primaries."""

    @classmethod
    def setUpClass(cls):
        addresses = [f"127.0.0.1:{processes.free_port()}" for _ in range(2)]
        cls.proxy_flags = {"face": "cluster", "announce": ",".join(addresses), "addr": addresses[0]}
        super().setUpClass()
        cls.other = RcproxyProcess(cls.cluster.addresses(), {**cls.proxy_flags, "addr": addresses[1], "workers": 1})
        cls.other.start()

    @classmethod
    def tearDownClass(cls):
        try:
            cls.other.stop()
        finally:
            cls.other.remove()
            super().tearDownClass()

    def library(self, address):
        host, _, port = address.rpartition(":")
        client = redis.RedisCluster(host=host, port=int(port))
        self.addCleanup(client.close)
        return client

    def redis_cli(self, *arguments):
        port = self.proxy.address.rpartition(":")[2]
        return subprocess.run(["redis-cli", "-p", port, *arguments], capture_output=True, text=True, timeout=60)

    def test_both_tell_the_same_map(self):
        maps = []
        for address in (self.proxy.address, self.other.address):
            with RespClient(address) as client:
                maps.append(client.command("CLUSTER", "SLOTS"))
        self.assertEqual(maps[0], maps[1])
        self.assertEqual([(first, last) for first, last, _ in maps[0]], [(0, 8191), (8192, 16383)])

    def test_each_knows_which_it_is(self):
        for address in (self.proxy.address, self.other.address):
            with RespClient(address) as client:
                lines = client.command("CLUSTER", "NODES").decode().splitlines()
                mine = next(line for line in lines if "myself" in line)
                self.assertIn(f" {address}@", mine)
                self.assertTrue(mine.startswith(client.command("CLUSTER", "MYID").decode()))

    def test_a_cluster_client_reads_and_writes_every_slot(self):
        client = self.library(self.proxy.address)
        self.assertEqual(len(client.get_primaries()), 2)
        keys = [f"slot:{index}" for index in range(4000)]
        slots = {client.keyslot(key) for key in keys}
        self.assertGreater(len(slots), 3000)
        for key in keys:
            self.assertTrue(client.set(key, key))
        for key in keys:
            self.assertEqual(client.get(key), key.encode())
        self.assertEqual(client.dbsize(target_nodes=client.get_random_node()), self.dbsize())
        with client.pipeline() as pipeline:
            for key in keys[:200]:
                pipeline.get(key)
            self.assertEqual(pipeline.execute(), [key.encode() for key in keys[:200]])

    def dbsize(self):
        return sum(node.command("DBSIZE") for node in self.cluster.primaries())

    def test_redis_cli_in_cluster_mode(self):
        for index in range(20):
            self.assertEqual(self.redis_cli("-c", "SET", f"cli{index}", "x").stdout, "OK\n")
            self.assertEqual(self.redis_cli("-c", "GET", f"cli{index}").stdout, "x\n")

    def test_redis_cli_checks_the_cluster(self):
        result = self.redis_cli("--cluster", "check", self.proxy.address)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("[OK] All nodes agree about slots configuration.", result.stdout)
        self.assertIn("[OK] All 16384 slots covered.", result.stdout)

    def test_the_state_fails_when_a_slot_is_not_served(self):
        node = self.cluster.primaries()[0]
        slot = self.cluster.slots_of(node)[0]
        for primary in self.cluster.primaries():
            primary.command("CLUSTER", "DELSLOTS", slot)
        try:
            self.client.command("PROXY", "REFRESH")
            self.eventually(lambda: b"cluster_slots_fail:1\r\n" in self.client.command("CLUSTER", "INFO"))
            self.assertIn(b"cluster_state:fail\r\n", self.client.command("CLUSTER", "INFO"))
        finally:
            for primary in self.cluster.primaries():
                if primary is not node:
                    primary.command("CLUSTER", "SETSLOT", slot, "NODE", node.id)
            node.command("CLUSTER", "ADDSLOTS", slot)
            self.cluster.wait_until_ok()
        self.client.command("PROXY", "REFRESH")
        self.eventually(lambda: b"cluster_state:ok\r\n" in self.client.command("CLUSTER", "INFO"))


class StandaloneTest(IntegrationTest):
    def test_nothing_tells_of_a_cluster(self):
        for command in ("SLOTS", "SHARDS", "NODES", "INFO", "MYID", "LINKS", "COUNTKEYSINSLOT 1", "GETKEYSINSLOT 1 1"):
            self.assert_error(self.client.command("CLUSTER", *command.split()), "ERR This instance has cluster support")
        self.assertIn(b"cluster_enabled:0", self.client.command("INFO", "cluster"))
        self.assertIn(b"redis_mode:standalone", self.client.command("INFO", "server"))
        self.assertEqual(self.client.command("HELLO", 3)[b"mode"], b"standalone")
        self.assertEqual(self.client.command("ASKING"), "OK")


if __name__ == "__main__":
    unittest.main()
