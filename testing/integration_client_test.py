"""A client library (redis-py, as Debian packages it) through rcproxy, used as if it were one server."""

import unittest

import redis

from testing.integration_base import IntegrationTest


class RedisPyTest(IntegrationTest):
    def setUp(self):
        super().setUp()
        host, _, port = self.proxy.address.rpartition(":")
        self.redis = redis.Redis(host=host, port=int(port), client_name="library")
        self.addCleanup(self.redis.close)

    def test_strings(self):
        self.assertTrue(self.redis.set("a", "1", ex=60))
        self.assertEqual(self.redis.get("a"), b"1")
        self.assertEqual(self.redis.incr("a", 2), 3)
        self.assertTrue(self.redis.expire("a", 10))
        self.assertEqual(self.redis.touch("a", "none"), 1)
        self.assertEqual(self.redis.getdel("a"), b"3")
        self.assertEqual(self.redis.client_getname(), "library")

    def test_split_commands(self):
        pairs = {f"k{i}": str(i) for i in range(100)}
        self.assertTrue(self.redis.mset(pairs))
        self.assertEqual(self.redis.mget(list(pairs)), [value.encode() for value in pairs.values()])
        self.assertEqual(self.redis.exists(*pairs), 100)
        self.assertEqual(self.redis.delete(*list(pairs)[:40]), 40)
        self.assertEqual(self.redis.unlink(*pairs), 60)

    def test_pipeline(self):
        with self.redis.pipeline(transaction=False) as pipeline:
            for index in range(1000):
                pipeline.set(f"p{index}", index)
                pipeline.get(f"p{index}")
            pipeline.lpush("p1", "x")
            replies = pipeline.execute(raise_on_error=False)
        self.assertEqual(replies[1:-1:2], [str(i).encode() for i in range(1000)])
        self.assertIsInstance(replies[-1], redis.ResponseError)
        self.assertIn("WRONGTYPE", str(replies[-1]))

    def test_collections(self):
        self.redis.hset("h", mapping={"a": 1, "b": 2})
        self.assertEqual(self.redis.hgetall("h"), {b"a": b"1", b"b": b"2"})
        self.redis.rpush("l", *range(5))
        self.assertEqual(self.redis.lrange("l", 0, -1), [b"0", b"1", b"2", b"3", b"4"])
        self.redis.zadd("z", {"x": 1, "y": 2})
        self.assertEqual(self.redis.zrange("z", 0, -1, withscores=True), [(b"x", 1.0), (b"y", 2.0)])
        self.assertEqual(dict(self.redis.hscan_iter("h")), {b"a": b"1", b"b": b"2"})

    def test_streams(self):
        first = self.redis.xadd("x", {"f": "v"})
        self.assertTrue(self.redis.xgroup_create("x", "g", id="0"))
        self.assertEqual(self.redis.xreadgroup("g", "me", {"x": ">"}), [[b"x", [(first, {b"f": b"v"})]]])
        self.assertEqual(self.redis.xack("x", "g", first), 1)
        self.assertEqual(self.redis.xlen("x"), 1)

    def test_scripts(self):
        script = self.redis.register_script("return {KEYS[1], ARGV[1]}")
        self.assertEqual(self.redis.eval("return {KEYS[1], ARGV[1]}", 1, "key", "arg"), [b"key", b"arg"])
        self.assertTrue(script.sha)

    def test_server_commands(self):
        self.assertTrue(self.redis.ping())
        self.assertEqual(self.redis.echo("x"), b"x")
        self.assertIn("redis_version", self.redis.info())
        self.assertEqual(len(self.redis.time()), 2)
        with self.assertRaises(redis.ResponseError):
            self.redis.execute_command("NOSUCHCOMMAND")

    def test_pubsub(self):
        with self.redis.pubsub() as pubsub:
            pubsub.subscribe("news", "sport")
            pubsub.psubscribe("n*")
            kinds = [pubsub.get_message(timeout=5)["type"] for _ in range(3)]
            self.assertEqual(kinds, ["subscribe", "subscribe", "psubscribe"])
            self.redis.publish("news", "hello")
            messages = [pubsub.get_message(timeout=5) for _ in range(2)]
            heard = sorted((message["type"], message["data"]) for message in messages)
            self.assertEqual(heard, [("message", b"hello"), ("pmessage", b"hello")])
            pubsub.ping()
            self.assertEqual(pubsub.get_message(timeout=5)["type"], "pong")
            pubsub.unsubscribe()
            pubsub.punsubscribe()
            kinds = sorted(pubsub.get_message(timeout=5)["type"] for _ in range(3))
            self.assertEqual(kinds, ["punsubscribe", "unsubscribe", "unsubscribe"])

    def test_watch(self):
        self.redis.set("{w}counter", 1)

        def add(pipeline):
            value = int(pipeline.get("{w}counter"))
            if value == 1:
                self.redis.set("{w}counter", 10)  # Somebody else, the first time.
            pipeline.multi()
            pipeline.set("{w}counter", value + 1)

        self.assertEqual(self.redis.transaction(add, "{w}counter"), [True])
        self.assertEqual(self.redis.get("{w}counter"), b"11")

    def test_lock(self):
        first, second = (self.redis.lock("lock", timeout=10, blocking_timeout=0.2) for _ in "12")
        self.assertTrue(first.acquire())
        self.assertFalse(second.acquire())
        first.release()
        self.assertTrue(second.acquire())
        second.release()


if __name__ == "__main__":
    unittest.main()
