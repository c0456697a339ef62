"""Commands that rcproxy learns from the nodes: of a module that it has never heard of (module_for_test.cc)."""

import os
import unittest

from testing.integration_base import IntegrationTest
from testing.rcproxy_process import RcproxyProcess

_MODULE = os.path.abspath("testing/module_for_test.so")


class LearntTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 0, "options": {"loadmodule": _MODULE}}

    def setUp(self):
        super().setUp()
        self.eventually(lambda: self.client.command("RCTEST.PING") == "PONG", message="the commands to be learnt")

    def explain(self, *command):
        fields = self.client.ok("PROXY", "EXPLAIN", *command)
        return dict(zip(fields[::2], fields[1::2]))

    def test_reads_and_writes_go_to_their_slots(self):
        for index in range(50):
            self.assertEqual(self.client.command("RCTEST.SET", f"k{index}", index), "OK")
        for index in range(50):
            self.assertEqual(self.client.command("rctest.get", f"k{index}"), b"%d" % index)
            self.assertEqual(self.client.command("GET", f"k{index}"), b"%d" % index)

    def test_in_a_pipeline_and_in_a_transaction(self):
        replies = self.client.pipeline([("RCTEST.SET", "{t}a", 1), ("GET", "{t}a"), ("RCTEST.GET", "{t}a")])
        self.assertEqual(replies, ["OK", b"1", b"1"])
        replies = self.client.pipeline([("MULTI",), ("RCTEST.SET", "{t}b", 2), ("RCTEST.GET", "{t}b"), ("EXEC",)])
        self.assertEqual(replies, ["OK", "QUEUED", "QUEUED", ["OK", b"2"]])

    def test_several_keys(self):
        self.client.command("RCTEST.SET", "{s}a", 1)
        self.assertEqual(self.client.command("RCTEST.RENAME", "{s}a", "{s}b"), "OK")
        self.assert_error(self.client.command("RCTEST.RENAME", "foo", "bar"), "CROSSSLOT")
        self.assertEqual(self.client.command("RCTEST.EXIST", 2, "{s}a", "{s}b"), 1)
        self.assert_error(self.client.command("RCTEST.EXIST", 2, "foo", "bar"), "CROSSSLOT")

    def test_one_whose_tips_say_so_is_split(self):
        keys = [f"split{index}" for index in range(30)]
        for key in keys:
            self.client.command("SET", key, 1)
        self.assertEqual(self.client.command("RCTEST.DEL", *keys, "nothing"), 30)

    def test_keyless_ones_go_where_their_tips_say(self):
        self.assertEqual(self.client.command("RCTEST.SIZE"), self.client.command("DBSIZE"))

    def test_what_cannot_be_routed_is_refused(self):
        self.assert_error(
            self.client.command("RCTEST.MOVABLE", "a"),
            "ERR RCTEST.MOVABLE is not available through rcproxy: the nodes do not say where its keys are",
        )
        self.assert_error(self.client.command("RCTEST.ADMIN"), "ERR RCTEST.ADMIN is not available through rcproxy")
        self.assertEqual(self.client.command("PROXY", "NODE", self.cluster.nodes[0].address, "RCTEST.ADMIN"), "PONG")
        self.assert_error(self.client.command("RCTEST.EXIST", 1), "ERR wrong number of arguments for 'rctest.exist'")
        self.assert_error(self.client.command("RCTEST.NOSUCH"), "ERR unknown command 'RCTEST.NOSUCH'")

    def test_command_lists_what_there_is(self):
        names = self.client.ok("COMMAND", "LIST")
        self.assertIn(b"rctest.get", names)
        self.assertIn(b"get", names)
        self.assertNotIn(b"rctest.movable", names)
        self.assertNotIn(b"json.get", names, "built in, but these nodes do not have it")
        self.assertEqual(self.client.ok("COMMAND", "COUNT"), sum(b"|" not in name for name in names))
        info = self.client.ok("COMMAND", "INFO", "rctest.get")[0]
        self.assertEqual(info[:6], [b"rctest.get", -1, ["readonly", "module"], 1, 1, 1])
        command = ("RCTEST.EXIST", 2, "a", "b")
        node = self.cluster.nodes[0]
        self.assertEqual(
            self.client.ok("COMMAND", "GETKEYS", *command), node.command("COMMAND", "GETKEYS", *command)
        )

    def test_what_rcproxy_knows_and_the_nodes_do_not_gets_the_nodes_error(self):
        self.assert_error(self.client.command("JSON.GET", "a"), "ERR unknown command 'JSON.GET'")

    def test_explain(self):
        explained = self.explain("RCTEST.DEL", "a", "b")
        self.assertEqual(explained[b"slots"], [15495, 3300])
        self.assertEqual(explained[b"plan"], b"2 requests, one for each slot")
        self.assertEqual(explained[b"merge"], b"sum")
        self.assertIn(b"read", self.explain("RCTEST.GET", "a")[b"retry"])
        self.assertIn(b"where its keys are", self.explain("RCTEST.MOVABLE", "a")[b"plan"])

    def test_it_can_be_switched_off(self):
        with RcproxyProcess(self.cluster.addresses(), {"learn_commands": "false"}) as proxy, proxy.client() as client:
            self.assert_error(client.command("RCTEST.GET", "a"), "ERR unknown command 'RCTEST.GET'")
            self.assertIn(b"json.get", client.ok("COMMAND", "LIST"))


class MixedTest(IntegrationTest):
    """The module is loaded on some nodes first, and later on all."""

    cluster_options = {"primaries": 3, "replicas_per_primary": 1, "options": {"enable-module-command": "yes"}}
    proxy_flags = {"learn_commands_interval": "200ms", "slots_reload_interval": "200ms"}

    def test_what_not_all_have_is_not_learnt_until_they_have_it(self):
        self.eventually(lambda: self.counter("command_tables_read") == 3, message="the first reading")
        primaries, replicas = self.cluster.primaries(), self.cluster.replicas()
        for node in primaries[1:] + replicas:
            node.command("MODULE", "LOAD", _MODULE)
        self.assertEqual(self.client.command("PROXY", "REFRESH"), "OK")
        self.eventually(lambda: self.counter("command_tables_differ") == 1, message="the difference to be seen")
        self.assert_error(self.client.command("RCTEST.PING"), "ERR unknown command")
        # The last one without it becomes a replica. Nobody has to tell rcproxy of that.
        self.cluster.failover(self.cluster.replicas(primaries[0])[0])
        self.eventually(lambda: self.client.command("RCTEST.PING") == "PONG", message="the new primary to be asked")
        self.assertEqual(self.counter("commands_learnt"), 9)


if __name__ == "__main__":
    unittest.main()
