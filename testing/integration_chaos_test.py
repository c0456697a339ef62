"""Random faults under checking load: short runs of what testing/chaos does for as long as one likes."""

import os
import subprocess
import sys
import tempfile
import unittest

from testing import bad_network
from testing.chaos_faults import Chaos
from testing.integration_base import IntegrationTest

SEED = int(os.environ.get("RCPROXY_TEST_SEED", "1"))
SECONDS = float(os.environ.get("RCPROXY_CHAOS_SECONDS", "8"))
TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "chaos")


def run_tool(*flags, **environment):
    """Returns its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, TOOL, f"--seed={SEED}", *flags], env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    print(done.stdout)
    return done.returncode, done.stdout


class OwnClusterTest(unittest.TestCase):
    def test_every_kind_of_fault(self):
        code, output = run_tool(f"--seconds={SECONDS:g}", "--proxy_flag=request_timeout=3s")
        self.assertEqual(code, 0, output)
        self.assertIn(f"network: {bad_network.possible()[0]}\n", output)
        self.assertRegex(output, r"[1-9]\d* requests")
        self.assertRegex(output, r"[1-9]\d* faults, all replies were right")

    def test_a_network_that_there_is_not(self):
        for kind in set(bad_network.KINDS) - set(bad_network.possible()):
            self.assertEqual(run_tool(f"--network={kind}")[0], 2)


class ClusterOfSomebodyElseTest(IntegrationTest):
    """Of users with passwords."""

    @classmethod
    def setUpClass(cls):
        directory = cls.enterClassContext(tempfile.TemporaryDirectory())
        users = os.path.join(directory, "users.acl")
        with open(users, "w") as file:
            file.write("user default off\nuser operator on >of-nodes ~* &* +@all\n")
        cls.cluster_options = {
            "primaries": 3, "replicas_per_primary": 1, "node_timeout_ms": 1000, "login": ("operator", "of-nodes"),
            "options": {"aclfile": users, "masteruser": "operator", "masterauth": "of-nodes"},
        }  # fmt: skip
        super().setUpClass()

    proxy_flags = {"upstream_username": "operator", "upstream_password": "of-nodes", "requirepass": "of-rcproxy"}

    def run_tool(self, *flags, **environment):
        places = [f"--proxy={self.proxy.address}", f"--node={self.cluster.addresses()[0]}"]
        return run_tool(*places, f"--seconds={SECONDS / 3:g}", *flags, **environment)

    def test_what_can_be_done_to_it_loses_nothing(self):
        code, output = self.run_tool(
            "--faults=migrate,failover,kill_connections", "--user=operator",
            RCPROXY_CHAOS_PASSWORD="of-nodes", RCPROXY_CHAOS_PROXY_PASSWORD="of-rcproxy",
        )  # fmt: skip
        self.assertEqual(code, 0, output)
        self.assertIn(" 0 lost writes", output)
        self.assertRegex(output, r"[1-9]\d* requests")

    def test_wrong_passwords_are_told(self):
        right = ["--user=operator", "--password=of-nodes", "--proxy_password=of-rcproxy"]
        for flags, error in (
            ([*right, "--password=wrong"], "WRONGPASS"),
            ([*right, "--proxy_password=wrong"], "WRONGPASS"),
            (right[2:], "NOAUTH"),
            (right[:1], "--password"),
        ):
            with self.subTest(flags=flags):
                code, output = self.run_tool(*flags)
                self.assertEqual(code, 2)
                self.assertIn(error, output)


class ReplacementTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 0, "node_timeout_ms": 1000}
    proxy_flags = {"request_timeout": "3s"}

    def test_until_none_of_the_first_nodes_is_left(self):
        chaos = Chaos(self.cluster, self.proxy.address, SEED, ["replace"])
        result = chaos.run(60, is_enough=lambda: not chaos.originals())
        print(f"seed {SEED}: {result.report}")
        self.assertEqual(result.problems, [], "\n".join(result.faults))
        self.assertGreater(result.report.requests, 0)
        self.assertEqual(result.report.lost_writes, 0)
        self.assertEqual(chaos.originals(), [])


if __name__ == "__main__":
    unittest.main()
