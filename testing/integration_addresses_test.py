"""Where nodes are: names that they announce, addresses of another network, and those of an earlier run."""

import os
import tempfile
import unittest

from testing import processes
from testing.cluster import Cluster
from testing.rcproxy_process import RcproxyProcess

# Nobody can look it up.
ANNOUNCED = "node.invalid"


class AddressesTest(unittest.TestCase):
    def check_serves(self, proxy):
        with proxy.client() as client:
            for index in range(50):
                self.assertEqual(client.command("SET", f"where:{index}", index), "OK")
            self.assertIn(b"rcproxy_redirects_moved:0\r\n", client.command("INFO", "proxy"))
            return client.command("INFO", "nodes").decode()

    def test_announced_names_are_used_and_reached_where_the_operator_says(self):
        options = {"cluster-announce-hostname": ANNOUNCED, "cluster-preferred-endpoint-type": "hostname"}
        with Cluster(3, 0, options=options) as cluster:
            pairs = ",".join(f"{ANNOUNCED}:{node.port}={node.address}" for node in cluster.nodes)
            flags = {"workers": 1, "node_addresses": pairs}
            with RcproxyProcess(cluster.addresses()[:1], flags) as proxy:
                nodes = self.check_serves(proxy)
            for node in cluster.nodes:
                self.assertIn(f"{ANNOUNCED}:{node.port}", nodes)

    def test_a_start_without_first_nodes_finds_those_of_the_last_run(self):
        with tempfile.TemporaryDirectory() as directory, Cluster(3, 0) as cluster:
            flags = {"workers": 1, "nodes_file": os.path.join(directory, "nodes")}
            with RcproxyProcess(cluster.addresses()[:1], flags) as proxy:
                self.check_serves(proxy)
            nobody = f"127.0.0.1:{processes.free_port()}"
            with RcproxyProcess([nobody], flags) as proxy:
                self.check_serves(proxy)

    def test_a_file_that_is_damaged_does_not_stop_the_start(self):
        with tempfile.TemporaryDirectory() as directory, Cluster(1, 0) as cluster:
            path = os.path.join(directory, "nodes")
            with open(path, "w") as file:
                file.write("rcproxy-nodes 1\nnot an address\n")
            with RcproxyProcess(cluster.addresses(), {"workers": 1, "nodes_file": path}) as proxy:
                self.check_serves(proxy)
            with open(path) as file:
                self.assertEqual(file.read(), f"rcproxy-nodes 1\n{cluster.nodes[0].address}\nend\n")


if __name__ == "__main__":
    unittest.main()
