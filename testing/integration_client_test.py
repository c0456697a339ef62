"""A client library (redis-py, as Debian packages it) through rcproxy, used as if it were one server."""

import threading
import time
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

    def test_lock_by_hand(self):
        """Redlock's parts: SET NX PX takes the lock, a script gives it back only to who has it, or extends it."""
        if_own = "if redis.call('get', KEYS[1]) == ARGV[1] then return %s else return 0 end"
        release, extend = if_own % "redis.call('del', KEYS[1])", if_own % "redis.call('pexpire', KEYS[1], ARGV[2])"
        held, most, counted = [], [], []

        def work(name):
            client = self.another()
            unlock, prolong = client.register_script(release), client.register_script(extend)
            for _ in range(10):
                while not client.set("redlock", name, nx=True, px=30_000):
                    time.sleep(0.002)
                held.append(name)
                most.append(len(held))
                self.assertEqual(prolong(keys=["redlock"], args=[name, 60_000]), 1)
                self.assertEqual(unlock(keys=["redlock"], args=["somebody else"]), 0)
                counted.append(int(client.get("redlock:count") or 0))
                client.set("redlock:count", counted[-1] + 1)
                held.remove(name)
                self.assertEqual(unlock(keys=["redlock"], args=[name]), 1)

        self.together(work, 5)
        self.assertEqual(max(most), 1, "two had the lock at a time")
        self.assertEqual(sorted(counted), list(range(50)))

    def test_reliable_queue(self):
        """Workers move each job to a list of their own, and drop it when it is done; one that dies leaves it there."""
        total, done = 200, []

        def work(name):
            client, own = self.another(), f"{{jobs}}:{name}"
            while (job := client.blmove("{jobs}", own, 0.5, "RIGHT", "LEFT")) is not None:
                if job == b"50" and name != "0":
                    return  # It has died.
                done.append(int(job))
                self.assertEqual(client.lrem(own, 1, job), 1)

        self.redis.lpush("{jobs}", *range(total))
        self.together(work, 5)
        left = [job for name in range(5) for job in self.redis.lrange(f"{{jobs}}:{name}", 0, -1)]
        for job in left:
            self.redis.lpush("{jobs}", job)
        work("0")
        self.assertEqual(sorted(done), list(range(total)))

    def test_priorities(self):
        """A worker that takes from the first list that has something, as Sidekiq's and Celery's do."""
        self.redis.rpush("{p}low", "l1", "l2")
        self.redis.rpush("{p}high", "h1")
        taken = [self.redis.brpop(["{p}high", "{p}low"], timeout=1)[1] for _ in range(3)]
        self.assertEqual(taken, [b"h1", b"l2", b"l1"])
        self.assertIsNone(self.redis.brpop(["{p}high", "{p}low"], timeout=0.1))

    def test_scheduled_jobs(self):
        """A sorted set by time; who removes a job first has it."""
        self.redis.zadd("{s}schedule", {f"job{i}": i for i in range(50)})
        taken = []

        def work(_):
            client = self.another()
            while jobs := client.zrangebyscore("{s}schedule", "-inf", "+inf", start=0, num=1):
                if client.zrem("{s}schedule", jobs[0]):
                    taken.append(jobs[0])

        self.together(work, 4)
        self.assertEqual(sorted(taken), sorted(b"job%d" % i for i in range(50)))

    def test_consumer_groups(self):
        """Entries go to one consumer each; those of one that has died are claimed by another."""
        self.redis.xgroup_create("{g}stream", "workers", id="$", mkstream=True)
        total, seen = 200, []
        started = threading.Barrier(5)

        def work(name):
            client = self.another()
            started.wait()
            while entries := client.xreadgroup("workers", f"c{name}", {"{g}stream": ">"}, count=7, block=1000):
                for entry, fields in entries[0][1]:
                    if name == "4":
                        return  # It dies with what it was given.
                    seen.append(int(fields[b"n"]))
                    self.assertEqual(client.xack("{g}stream", "workers", entry), 1)

        def produce():
            started.wait()
            client = self.another()
            for number in range(total):
                client.xadd("{g}stream", {"n": number})

        producer = threading.Thread(target=produce)
        producer.start()
        self.together(work, 4, first=1)
        producer.join()
        claimed = self.redis.xautoclaim("{g}stream", "workers", "c1", min_idle_time=0)[1]
        seen += [int(fields[b"n"]) for _, fields in claimed]
        self.assertEqual(sorted(seen), list(range(total)))

    def test_expired_sessions_are_announced(self):
        """As Spring's sessions want it: an event when one is made, and one when it has expired, from any primary."""
        for node in self.cluster.primaries():
            node.command("CONFIG", "SET", "notify-keyspace-events", "Egx$")
        with self.redis.pubsub() as pubsub:
            pubsub.psubscribe("__keyevent@*__:expired", "__keyevent@*__:del")
            for _ in range(2):
                self.assertEqual(pubsub.get_message(timeout=5)["type"], "psubscribe")
            names = {f"spring:session:expires:{i}" for i in range(12)}
            for name in names:
                self.redis.set(name, "", px=100)
            self.redis.delete(names.pop())
            heard = {}
            while len(heard) < 12:
                message = pubsub.get_message(timeout=10)
                self.assertIsNotNone(message, f"only {len(heard)} events")
                heard[message["data"].decode()] = message["channel"]
            self.assertEqual(sum(channel.endswith(b":expired") for channel in heard.values()), 11)

    def test_rooms(self):
        """As socket.io's adapter: servers hear a pattern and channels of their own, and ask one another."""
        servers = [self.redis.pubsub() for _ in range(3)]
        for number, server in enumerate(servers):
            server.psubscribe("socket.io#/#*")
            server.subscribe("socket.io-request#/#", f"socket.io-response#/#{number}#")
            for _ in range(3):
                self.assertIn("subscribe", server.get_message(timeout=5)["type"])
        self.assertEqual(dict(self.redis.pubsub_numsub("socket.io-request#/#")), {b"socket.io-request#/#": 3})
        self.redis.publish("socket.io#/#room", b"\x93\x00\xff packet")
        self.redis.publish("socket.io-request#/#", "who is there")
        for number, server in enumerate(servers):
            texts = sorted(server.get_message(timeout=5)["data"] for _ in range(2))
            self.assertEqual(texts, [b"who is there", b"\x93\x00\xff packet"])
            self.redis.publish("socket.io-response#/#0#", f"server {number}")
        answers = [servers[0].get_message(timeout=5)["data"] for _ in range(3)]
        self.assertEqual(sorted(answers), [b"server 0", b"server 1", b"server 2"])
        for server in servers:
            server.close()

    def another(self):
        """A client with connections of its own."""
        host, _, port = self.proxy.address.rpartition(":")
        client = redis.Redis(host=host, port=int(port))
        self.addCleanup(client.close)
        return client

    def together(self, work, count, first=0):
        """Runs `work` of "0", "1" ... in threads; what goes wrong in one is raised."""
        problems = []

        def run(name):
            try:
                work(name)
            except BaseException as problem:
                problems.append(problem)

        threads = [threading.Thread(target=run, args=(str(first + i),)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]


if __name__ == "__main__":
    unittest.main()
