"""Functions reach primaries that join later."""

import unittest

from testing.integration_base import IntegrationTest

_LIBRARY = """#!lua name=mylib
redis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)
redis.register_function{function_name='take', callback=function(keys) return redis.call('GET', keys[1]) end,
                        flags={'no-writes'}}
"""


class NewPrimaryTest(IntegrationTest):
    proxy_flags = {"slots_reload_interval": "60s"}

    def test_a_primary_that_joins_knows_the_functions(self):
        self.assertEqual(self.client.ok("FUNCTION", "LOAD", "REPLACE", _LIBRARY), b"mylib")
        source = self.node_of("a")
        keys = [key for key in (f"key{index}" for index in range(3000)) if self.node_of(key) is source][:60]
        new = self.cluster.add_node()
        for index, key in enumerate(keys):
            slot = source.command("CLUSTER", "KEYSLOT", key)
            if self.node_of(key) is source:
                self.cluster.migrate_slot(slot, source, new)
            # From the first slot on, which rcproxy learns of by this very command.
            self.assertEqual(self.client.ok("FCALL", "put", 1, key, index), "OK", key)
            self.assertEqual(self.client.ok("FCALL_RO", "take", 1, key), str(index).encode())
            self.assertIs(self.node_of(key), new)
        self.assertEqual(self.counter("functions_restored"), 1)
        self.assertEqual(self.counter("function_restore_failures"), 0)
        self.assert_error(self.client.command("FCALL", "nosuch", 1, keys[0]), "ERR Function not found")
        self.client.ok("FUNCTION", "FLUSH")


if __name__ == "__main__":
    unittest.main()
