"""Scripts and functions that run are killed past the replies that wait for them."""

import threading
import time
import unittest

from testing.integration_base import IntegrationTest

_LOOP = """#!lua name=loop
redis.register_function('forever', function() while true do end end)
"""


class ScriptKillTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 0, "node_timeout_ms": 30000,
                       "options": {"busy-reply-threshold": "100"}}  # fmt: skip

    def run_in_thread(self, *command):
        """Sends it; the list will have its reply."""
        replies = []

        def ask():
            with self.proxy.client() as client:
                replies.append(client.command(*command))

        thread = threading.Thread(target=ask)
        thread.start()
        self.addCleanup(thread.join)
        return replies

    def check_killed(self, kill, *command):
        key = command[-1]
        replies = self.run_in_thread(*command)
        time.sleep(0.3)
        self.assertEqual(replies, [])
        for name in (f"other{index}" for index in range(100)):
            if self.owner_index(name) != self.owner_index(key):
                self.assertEqual(self.client.ok("SET", name, 1), "OK")
        begin = time.monotonic()
        self.assertEqual(self.client.command(*kill), "OK")
        self.assertLess(time.monotonic() - begin, 3)
        self.eventually(lambda: len(replies) == 1)
        self.assertIn("killed", replies[0].text.lower())
        self.assertEqual(self.client.ok("SET", key, 1), "OK")

    def owner_index(self, key):
        """Without asking the nodes, one of which is busy."""
        slot = self.client.command("CLUSTER", "KEYSLOT", key)
        return next(index for index, slots in enumerate(self.slots) if slot in slots)

    def setUp(self):
        super().setUp()
        self.slots = [set(self.cluster.slots_of(node)) for node in self.cluster.primaries()]

    def test_nothing_to_kill(self):
        for kill in ("SCRIPT", "FUNCTION"):
            self.assert_error(self.client.command(kill, "KILL"), "NOTBUSY No scripts in execution right now.")

    def test_a_script_is_killed(self):
        for key in ("b", "c", "a"):
            self.check_killed(("SCRIPT", "KILL"), "EVAL", "while true do end", 1, key)

    def test_a_function_is_killed(self):
        self.client.ok("FUNCTION", "LOAD", "REPLACE", _LOOP)
        self.check_killed(("FUNCTION", "KILL"), "FCALL", "forever", 1, "b")

    def test_function_stats_tells_who_runs(self):
        self.client.ok("FUNCTION", "LOAD", "REPLACE", _LOOP)
        replies = self.run_in_thread("FCALL", "forever", 1, "b")
        time.sleep(0.3)
        stats = self.client.ok("FUNCTION", "STATS")
        self.assertIn(b"forever", stats[1])
        self.assertEqual(self.client.command("FUNCTION", "KILL"), "OK")
        self.eventually(lambda: len(replies) == 1)

    def test_a_script_that_has_written_cannot_be_killed(self):
        script = "redis.call('SET', KEYS[1], 1) local s = redis.call('TIME') " \
                 "while redis.call('TIME')[1] - s[1] < 3 do end return 'done'"  # fmt: skip
        replies = self.run_in_thread("EVAL", script, 1, "b")
        time.sleep(0.5)
        self.assert_error(self.client.command("SCRIPT", "KILL"), "UNKILLABLE")
        self.eventually(lambda: replies == [b"done"])


if __name__ == "__main__":
    unittest.main()
