"""Commands through rcproxy on a healthy cluster: single-slot ones, split ones, and the server's error texts."""

import subprocess
import unittest

from testing.integration_base import IntegrationTest
from testing.resp_client import RespError

ODD_KEYS = [b"\x00", b"a\r\nb", b"\xff\xfe\xff", b"\r\n$3\r\n", b"{\x00}\xff", b"k" * 3000, b"", b"{}x", b"sp ace"]


class SingleSlotTest(IntegrationTest):
    def test_each_type_of_value(self):
        ok = self.client.ok
        self.assertEqual(ok("SET", "s", "v", "EX", 100), "OK")
        self.assertEqual(ok("GET", "s"), b"v")
        self.assertTrue(0 < ok("TTL", "s") <= 100)
        self.assertEqual(ok("INCRBY", "n", 5), 5)
        self.assertEqual(ok("HSET", "h", "a", 1, "b", 2), 2)
        self.assertEqual(ok("HGETALL", "h"), [b"a", b"1", b"b", b"2"])
        self.assertEqual(ok("RPUSH", "l", 1, 2, 3), 3)
        self.assertEqual(ok("LRANGE", "l", 0, -1), [b"1", b"2", b"3"])
        self.assertEqual(ok("SADD", "set", "x", "y"), 2)
        self.assertEqual(sorted(ok("SMEMBERS", "set")), [b"x", b"y"])
        self.assertEqual(ok("ZADD", "z", 1.5, "m"), 1)
        self.assertEqual(ok("ZRANGE", "z", 0, -1, "WITHSCORES"), [b"m", b"1.5"])
        self.assertEqual(ok("XADD", "x", "1-1", "f", "v"), b"1-1")
        self.assertEqual(ok("XREAD", "COUNT", 1, "STREAMS", "x", 0), [[b"x", [[b"1-1", [b"f", b"v"]]]]])
        self.assertEqual(ok("SETBIT", "bit", 7, 1), 0)
        self.assertEqual(ok("PFADD", "pf", "a"), 1)
        self.assertEqual(ok("GEOADD", "geo", 13.36, 38.11, "Palermo"), 1)
        self.assertEqual(ok("EVAL", "return redis.call('GET', KEYS[1])", 1, "s"), b"v")
        self.assertEqual(ok("TYPE", "z"), "zset")
        self.assertIsNone(ok("GET", "nothing"))
        self.assertEqual(ok("LRANGE", "nothing", 0, -1), [])

    def test_keys_of_any_bytes(self):
        for key in ODD_KEYS:
            self.assertEqual(self.client.command("SET", key, key + b"\r\n\x00"), "OK", key)
        for key in ODD_KEYS:
            self.assertEqual(self.client.command("GET", key), key + b"\r\n\x00", key)
            self.assertEqual(self.node_of(key).command("GET", key), key + b"\r\n\x00")
        self.assertEqual(self.client.command("EXISTS", *ODD_KEYS), len(ODD_KEYS))
        self.assertEqual(self.client.command("MGET", *ODD_KEYS), [key + b"\r\n\x00" for key in ODD_KEYS])

    def test_several_keys_in_one_slot(self):
        self.assertEqual(self.client.command("SET", "{t}a", 1), "OK")
        self.assertEqual(self.client.command("RENAME", "{t}a", "{t}b"), "OK")
        self.assertEqual(self.client.command("SADD", "{t}s1", 1, 2), 2)
        self.assertEqual(self.client.command("SADD", "{t}s2", 2, 3), 2)
        self.assertEqual(self.client.command("SINTERSTORE", "{t}d", "{t}s1", "{t}s2"), 1)

    def test_names_are_case_insensitive(self):
        self.assertEqual(self.client.command("sEt", "case", 1), "OK")
        self.assertEqual(self.client.command("mGeT", "case", "case"), [b"1", b"1"])

    def test_many_keys_reach_their_nodes(self):
        replies = self.client.pipeline([("SET", f"spread:{i}", i) for i in range(2000)])
        self.assertEqual(set(replies), {"OK"})
        self.assertTrue(all(node.command("DBSIZE") > 400 for node in self.cluster.primaries()))
        self.assertEqual(self.client.pipeline([("GET", f"spread:{i}") for i in range(2000)]),
                         [str(i).encode() for i in range(2000)])


class SplitTest(IntegrationTest):
    def test_mget_keeps_order_duplicates_and_nil(self):
        self.client.pipeline([("SET", f"m:{i}", i) for i in range(50)])
        self.client.ok("RPUSH", "m:list", 1)
        keys = [f"m:{i % 50}" for i in range(200)] + ["m:list", "m:none", "m:0", "m:0"]
        expected = [str(i % 50).encode() for i in range(200)] + [None, None, b"0", b"0"]
        self.assertEqual(self.client.command("MGET", *keys), expected)

    def test_mset_writes_all_and_the_last_duplicate_wins(self):
        self.assertEqual(self.client.command("MSET", "d1", 1, "d2", 2, "d1", 3, "d3", 4), "OK")
        self.assertEqual(self.client.command("MGET", "d1", "d2", "d3"), [b"3", b"2", b"4"])

    def test_counts_are_summed(self):
        self.client.pipeline([("SET", f"c:{i}", i) for i in range(30)])
        keys = [f"c:{i}" for i in range(30)]
        self.assertEqual(self.client.command("EXISTS", *keys, *keys, "c:none"), 60)
        self.assertEqual(self.client.command("TOUCH", *keys, "c:none"), 30)
        self.assertEqual(self.client.command("DEL", *keys[:10], "c:none"), 10)
        self.assertEqual(self.client.command("UNLINK", *keys), 20)
        self.assertEqual(self.client.command("EXISTS", *keys), 0)

    def test_wrong_number_of_arguments(self):
        for command in (["MSET", "a"], ["MSET", "a", "1", "b"], ["MSET"], ["MGET"], ["DEL"], ["EXISTS"]):
            self.assert_error(self.client.command(*command), "ERR wrong number of arguments for '")
        self.assertIsNone(self.client.command("GET", "a"))

    def test_large_split(self):
        pairs = [part for i in range(5000) for part in (f"big:{i}", i)]
        self.assertEqual(self.client.command("MSET", *pairs), "OK")
        self.assertEqual(self.client.command("MGET", *pairs[::2]), [str(i).encode() for i in range(5000)])
        self.assertEqual(self.client.command("DEL", *pairs[::2]), 5000)


class ErrorTextTest(IntegrationTest):
    def test_errors_are_the_servers_own(self):
        self.client.ok("SET", "e", "text")
        node = self.node_of("e")
        for command in (
            ("LPUSH", "e", 1), ("INCR", "e"), ("GET",), ("GET", "e", "e"), ("SET", "e", "1", "NONSENSE"),
            ("EXPIRE", "e", "x"), ("SETRANGE", "e", -1, "x"), ("NOSUCHCOMMAND",),
            ("nosuchcommand", "a", "b c"), ("XADD", "e"), ("OBJECT", "NOSUCH", "e"), ("BITOP", "e"),
        ):  # fmt: skip
            with self.assertRaises(RespError) as raised:
                node.command(*command)
            self.assertEqual(self.client.command(*command), raised.exception, command)

    def test_keys_of_several_slots(self):
        text = "CROSSSLOT Keys in request don't hash to the same slot"
        for command in (("RENAME", "a", "b"), ("SUNION", "a", "b"), ("EVAL", "return 1", 2, "a", "b"),
                        ("BITOP", "AND", "a", "b", "c"), ("MSETNX", "a", 1, "b", 2)):  # fmt: skip
            self.assertEqual(self.client.command(*command), RespError(text), command)

    def test_what_is_not_available_is_an_error_and_keeps_the_connection(self):
        for command in (("PSYNC", "?", -1), ("REPLCONF", "ACK", 1), ("SYNC",), ("SHUTDOWN",), ("DEBUG", "SLEEP", 0),
                        ("CLUSTER", "RESET"), ("CONFIG", "SET", "maxmemory", 1)):
            self.client.ok("SET", "kept", command[0])
            reply = self.client.command(*command)
            # What becomes available later has to come with tests of its own; forwarding blindly is no option.
            self.assertIsInstance(reply, RespError, command)
            self.assertEqual(self.client.command("GET", "kept"), command[0].encode(), command)


class AllNodesTest(IntegrationTest):
    def test_what_concerns_every_primary(self):
        names = [f"every:{i}".encode() for i in range(50)]
        self.client.ok("FLUSHALL")
        self.client.ok("MSET", *(part for name in names for part in (name, 1)))
        self.assertEqual(self.client.command("DBSIZE"), 50)
        self.assertEqual(sorted(self.client.command("KEYS", "every:*")), sorted(names))
        self.assertEqual(self.client.command("KEYS", "none:*"), [])
        self.assertGreater(self.client.command("LASTSAVE"), 1_500_000_000)
        self.client.ok("FLUSHDB", "SYNC")
        self.assertEqual(self.client.command("DBSIZE"), 0)
        self.assert_error(self.client.command("FLUSHALL", "NONSENSE"), "ERR syntax error")

    def test_scripts_are_known_everywhere(self):
        sha = self.client.command("SCRIPT", "LOAD", "return redis.call('GET', KEYS[1])")
        self.assertEqual(self.client.command("SCRIPT", "EXISTS", sha, "0" * 40), [1, 0])
        for i in range(20):
            self.client.ok("SET", f"script:{i}", i)
            self.assertEqual(self.client.command("EVALSHA", sha, 1, f"script:{i}"), str(i).encode())
        self.client.ok("SCRIPT", "FLUSH")
        self.assertEqual(self.client.command("SCRIPT", "EXISTS", sha), [0])


class SessionTest(IntegrationTest):
    def test_commands_that_rcproxy_answers_itself(self):
        command = self.client.command
        self.assertEqual(command("PING"), "PONG")
        self.assertEqual(command("PING", "\r\n"), b"\r\n")
        self.assertEqual(command("ECHO", b"\x00x"), b"\x00x")
        self.assertEqual(command("SELECT", 0), "OK")
        self.assert_error(command("SELECT", "x"), "ERR")
        self.assert_error(command("AUTH", "wrong"), "ERR")
        self.assert_error(command("AUTH", "user", "wrong"), "WRONGPASS")
        seconds, microseconds = command("TIME")
        self.assertGreater(int(seconds), 1_500_000_000)
        self.assertLess(int(microseconds), 1_000_000)

    def test_where_nodes_have_one_database_another_one_is_refused(self):
        refused = RespError("ERR DB index is out of range")
        for hello in (2, 3):
            self.client.command("HELLO", hello)
            replies = self.client.pipeline(
                [("SET", "db", hello), ("SELECT", 1), ("GET", "db"), ("SELECT", 0), ("SELECT", 15), ("INCR", "db")]
            )
            self.assertEqual(replies, ["OK", refused, str(hello).encode(), "OK", refused, hello + 1])
            self.assertIn(b" db=0 ", self.client.command("CLIENT", "INFO"))
        with self.proxy.client() as other:
            self.assertEqual(other.command("GET", "db"), b"4")
        replies = self.client.pipeline([("WATCH", "db"), ("SELECT", 1), ("MULTI",), ("GET", "db"), ("EXEC",)])
        self.assert_error(replies[1], "ERR SELECT of another database is not possible while keys are watched")
        self.assertEqual(replies[-1], [b"4"])

    def test_hello(self):
        reply = self.client.command("HELLO", 2)
        fields = dict(zip(reply[::2], reply[1::2]))
        self.assertEqual(fields[b"proto"], 2)
        self.assertIn(b"version", fields)
        self.assertEqual(self.client.command("HELLO")[::2], reply[::2])
        self.assertEqual(self.client.command("HELLO", 3)[b"proto"], 3)
        self.assert_error(self.client.command("HELLO", 4), "NOPROTO")
        self.assert_error(self.client.command("HELLO", "x"), "ERR Protocol version is not an integer")
        self.assertEqual(self.client.command("PING"), "PONG")

    def test_client_subcommands(self):
        command = self.client.command
        with self.proxy.client() as other:
            self.assertNotEqual(command("CLIENT", "ID"), other.command("CLIENT", "ID"))
        self.assertIsNone(command("CLIENT", "GETNAME"))
        self.assertEqual(command("CLIENT", "SETNAME", "tester"), "OK")
        self.assertEqual(command("CLIENT", "GETNAME"), b"tester")
        self.assert_error(command("CLIENT", "SETNAME", "with space"), "ERR Client names cannot contain spaces")
        self.assertEqual(command("CLIENT", "SETINFO", "LIB-NAME", "test"), "OK")
        self.assert_error(command("CLIENT", "NOSUCH"), "ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.")

    def test_introspection(self):
        info = self.client.command("INFO").decode()
        for field in ("redis_version:", "connected_clients:", "uptime_in_seconds:", "process_id:"):
            self.assertIn(field, info)
        self.assertIn(f"process_id:{self.proxy.pid}\r\n", info)
        self.assertIsInstance(self.client.command("COMMAND"), list)
        self.assertGreater(self.client.command("COMMAND", "COUNT"), 100)

    def test_quit_answers_what_came_before(self):
        self.client.send(b"PING\r\nQUIT\r\nPING\r\n")
        self.assertEqual(self.client.read_to_end(), b"+PONG\r\n+OK\r\n")

    def test_redis_cli(self):
        port = self.proxy.address.rpartition(":")[2]

        def cli(*arguments, stdin=""):
            run = subprocess.run(["redis-cli", "-p", port, *arguments], input=stdin, capture_output=True, text=True,
                                 timeout=30)
            self.assertEqual(run.stderr, "")
            return run.stdout

        self.assertEqual(cli("SET", "cli", "value"), "OK\n")
        self.assertEqual(cli("GET", "cli"), "value\n")
        self.assertEqual(cli(stdin="SET cli2 a\nMGET cli cli2 none\n"), "OK\nvalue\na\n\n")
        self.assertIn("redis_version", cli("INFO"))


if __name__ == "__main__":
    unittest.main()
