"""What is easy to get wrong for a proxy before a cluster, as far as no other test has it: testing/traps.tsv."""

import unittest

from testing.integration_base import IntegrationTest


class SplitTrapsTest(IntegrationTest):
    def test_a_key_that_is_named_twice_is_deleted_once(self):
        self.client.ok("MSET", "twice:a", 1, "twice:b", 2)
        self.assertEqual(self.client.command("DEL", "twice:a", "twice:b", "twice:a"), 2)
        self.client.ok("MSET", "twice:a", 1, "twice:b", 2)
        self.assertEqual(self.client.command("UNLINK", "twice:b", "twice:a", "twice:b", "twice:c"), 2)

    def test_flushall_takes_what_was_written_before_it_and_leaves_what_came_behind(self):
        commands = []
        for i in range(200):
            commands += [("SET", f"flush:{i}", i), ("FLUSHALL",), ("SET", f"kept:{i}", i)]
        self.assertEqual(set(self.client.pipeline(commands)), {"OK"})
        self.assertEqual(self.client.command("KEYS", "*"), [b"kept:199"])

    def test_streams_of_several_slots(self):
        for i in range(6):
            self.client.ok("XADD", f"stream:{i}", f"{i + 1}-1", "field", i)
        names = [f"stream:{i}" for i in (4, 0, 5, 2)]
        expected = [[name.encode(), self.client.ok("XRANGE", name, "-", "+")] for name in names]
        self.assertEqual(self.client.command("XREAD", "STREAMS", *names, 0, 0, 0, 0), expected)
        self.assertEqual(self.client.command("XREAD", "STREAMS", *names, 0, "1-1", 0, 0), expected[:1] + expected[2:])
        self.assertIsNone(self.client.command("XREAD", "STREAMS", *names, "$", "$", "$", "$"))
        self.assert_error(self.client.command("XREAD", "BLOCK", 1, "STREAMS", *names, 0, 0, 0, 0), "CROSSSLOT")
        self.assert_error(self.client.command("XREAD", "STREAMS", *names, 0, 0, 0, "x"), "ERR Invalid stream ID")
        self.assert_error(self.client.command("XREAD", "STREAMS", *names, 0, 0, 0), "ERR Unbalanced")
        self.client.ok("SET", "text", 1)
        self.assert_error(self.client.command("XREAD", "STREAMS", *names, "text", 0, 0, 0, 0, 0), "WRONGTYPE")
        for name in names:
            self.client.ok("XGROUP", "CREATE", name, "group", 0)
        read = ("XREADGROUP", "GROUP", "group", "consumer", "STREAMS", *names, ">", ">", ">", ">")
        self.assertEqual(self.client.command(*read), expected)
        self.assertIsNone(self.client.command(*read))
        self.assert_error(self.client.command(*read[:5], "stream:1", "stream:2", ">", ">"), "NOGROUP")
        with self.proxy.client() as client:
            client.ok("HELLO", 3)
            self.assertEqual(client.command("XREAD", "STREAMS", *names, 0, 0, 0, 0),
                             {name: entries for name, entries in expected})
            self.assertIsNone(client.command("XREAD", "STREAMS", *names, "$", "$", "$", "$"))


class TransactionTrapsTest(IntegrationTest):
    def test_without_a_key_it_runs_anywhere(self):
        replies = self.client.pipeline([("MULTI",), ("PING",), ("ECHO", "x"), ("EVAL", "return 7", 0), ("EXEC",)])
        self.assertEqual(replies[-1], ["PONG", b"x", 7])

    def test_what_does_not_fit_into_memory_is_discarded_as_a_whole(self):
        node = self.node_of("{full}")
        self.client.ok("DEL", "{full}a")
        node.command("CONFIG", "SET", "maxmemory", 1)
        try:
            replies = self.client.pipeline([("MULTI",), ("GET", "{full}a"), ("SET", "{full}a", 1), ("EXEC",)])
        finally:
            node.command("CONFIG", "SET", "maxmemory", 0)
        self.assert_error(replies[-1], "EXECABORT")
        self.assertIsNone(self.client.command("GET", "{full}a"))

    def test_what_is_wrong_with_exec_itself_ends_it(self):
        node = self.node_of("{same}")
        commands = [("MULTI",), ("SET", "{same}a", 1), ("EXEC", "x"), ("GET", "{same}a"), ("EXEC",), ("EXEC", "x")]
        self.assertEqual(self.client.pipeline(commands), node.pipeline(commands))

    def test_the_database_is_not_changed_inside(self):
        replies = self.client.pipeline([("MULTI",), ("SELECT", 0), ("EXEC",), ("MULTI",), ("SELECT", 1), ("EXEC",)])
        self.assertEqual(replies[2], ["OK"])
        self.assert_error(replies[4], "ERR SELECT of another database is not allowed inside a transaction")
        self.assert_error(replies[5], "EXECABORT")


class ReplicaTrapsTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 1}
    proxy_flags = {"workers": 1, "slots_reload_interval": "300ms"}

    def calls(self, nodes, command):
        """How often it was executed by these nodes for somebody other than their primary."""
        calls = 0
        for node in nodes:
            for line in node.command("INFO", "commandstats").decode().splitlines():
                if line.startswith(f"cmdstat_{command}:"):
                    calls += int(line.split("calls=")[1].split(",")[0])
        return calls

    def reader(self):
        """A client whose reads go to replicas, from now on."""
        client = self.proxy.client()
        self.addCleanup(client.close)
        client.ok("READONLY")

        def reads_a_replica():
            before = self.calls(self.cluster.replicas(), "strlen")
            client.ok("STRLEN", "k")
            return self.calls(self.cluster.replicas(), "strlen") > before

        self.eventually(reads_a_replica, timeout_s=20, message="a replica serves")
        return client

    def test_what_reads_but_acts_on_the_node_goes_to_the_primary(self):
        client = self.reader()
        for command in (("GEORADIUS", "geo", 1, 1, 1, "km"), ("SORT", "list"), ("BITFIELD", "bits", "GET", "u8", 0),
                        ("TOUCH", "k"), ("HSCAN", "h", 0), ("SSCAN", "s", 0), ("ZSCAN", "z", 0)):  # fmt: skip
            name = command[0].lower()
            before = self.calls(self.cluster.primaries(), name)
            client.ok(*command)
            self.assertEqual(self.calls(self.cluster.primaries(), name), before + 1, command)
            self.assertEqual(self.calls(self.cluster.replicas(), name), 0, command)

    def test_a_script_that_a_replica_does_not_know_is_given_to_it(self):
        client = self.reader()
        sha = client.ok("SCRIPT", "LOAD", "return redis.call('GET', KEYS[1])")
        for node in self.cluster.nodes:
            node.command("SCRIPT", "FLUSH")
        client.ok("SET", "k", "v")
        for node in self.cluster.primaries():
            node.command("WAIT", 1, 5000)
        for _ in range(5):
            self.assertEqual(client.command("EVALSHA_RO", sha, 1, "k"), b"v")
        self.assertGreater(self.calls(self.cluster.replicas(), "evalsha_ro"), 0)


if __name__ == "__main__":
    unittest.main()
