"""Several clients that have to do with one another, by script and by chance, through rcproxy before a cluster and
before one standalone server: transactions and watched keys in conflict, commands that wait for what others write,
subscriptions, MONITOR, and the end of a client in each of these states. Everybody must hear the same.

RCPROXY_TEST_SEED=N begins the random conversations with another seed, RCPROXY_TEST_ROUNDS=N plays more or fewer; a
failure prints the command that repeats it.
"""

import os
import random
import unittest

from testing.client_conversations import Conversation
from testing.client_scripts import Side, parse, play
from testing.integration_base import BesideOneServerTest
from testing.resp_client import RespClient

FIRST_SEED = int(os.environ.get("RCPROXY_TEST_SEED", "1"))
ROUNDS = int(os.environ.get("RCPROXY_TEST_ROUNDS", "24"))
STEPS_PER_ROUND = 100

_SCRIPTS = """
== a queued transaction sees what others write before EXEC, and they see nothing of it
1 > SET {t}a 1
1 > MULTI
1 > INCR {t}a
2 > GET {t}a
2 > SET {t}a 10
1 > GET {t}a
1 > EXEC
2 > GET {t}a

== errors while queueing
1 > MULTI
1 > GET
1 > SET {t}a 1
2 > GET {t}a
1 > EXEC
1 > MULTI | NOSUCH {t}a | EXEC
1 > MULTI | MULTI | WATCH {t}a | SET {t}a 1 | EXEC
1 > EXEC | DISCARD | MULTI | DISCARD | DISCARD
1 > MULTI | EXEC
2 > GET {t}a

== errors of commands inside stay inside
1 > SET {t}a text | MULTI | INCR {t}a | LPUSH {t}a x | SET {t}b 1 | SET {t}b 1 NX XX | EXEC
2 > GET {t}b

== DISCARD
1 > MULTI | SET {t}a 1
1 > DISCARD
2 > GET {t}a
1 > GET {t}a

== a watched key that somebody else writes
1 > SET {t}a 1
1 > WATCH {t}a
2 > SET {t}a 2
1 > MULTI | SET {t}a 3
1 > EXEC
1 > GET {t}a
1 > MULTI | SET {t}a 4 | EXEC

== a watched key that is written while the transaction is queued
1 > WATCH {t}a {t}b
1 > MULTI
1 > SET {t}a 3
2 > SET {t}b 2
1 > EXEC
2 > GET {t}a

== a watched key that is only read, or written to another one
1 > SET {t}a 1
1 > WATCH {t}a
2 > GET {t}a | SET {t}b 1 | TOUCH {t}a
1 > MULTI | INCR {t}a | EXEC
2 > GET {t}a

== a watched key that comes, goes, and comes back
1 > WATCH {t}a
2 > SET {t}a 1
2 > DEL {t}a
1 > MULTI | PING | EXEC
1 > WATCH {t}a
2 > DEL {t}a
1 > MULTI | PING | EXEC

== a watched key, and FLUSHALL
1 > SET {t}a 1 | WATCH {t}a
2 > FLUSHALL
1 > MULTI | PING | EXEC
1 > WATCH {t}a
2 > FLUSHALL
1 > MULTI | PING | EXEC

== a watched key that the watcher writes itself
1 > WATCH {t}a
1 > SET {t}a 1
1 > MULTI | GET {t}a | EXEC

== a watched key that another transaction writes, and one that a script writes
1 > WATCH {t}a
2 > MULTI | SET {t}a 1 | EXEC
1 > MULTI | GET {t}a | EXEC
1 > WATCH {t}a
2 > EVAL "return redis.call('set', KEYS[1], 2)" 1 {t}a
1 > MULTI | GET {t}a | EXEC

== UNWATCH, DISCARD, EXEC and RESET end a watch
1 > WATCH {t}a
2 > SET {t}a 1
1 > UNWATCH | MULTI | INCR {t}a | EXEC
1 > WATCH {t}a
2 > SET {t}a 1
1 > MULTI | DISCARD | MULTI | INCR {t}a | EXEC
1 > WATCH {t}a
2 > SET {t}a 1
1 > MULTI | NOSUCH | EXEC | MULTI | INCR {t}a | EXEC
1 > WATCH {t}a
2 > SET {t}a 1
1 > RESET
1 > MULTI | INCR {t}a | EXEC
1 > WATCH {t}a
2 > SET {t}a 1
1 > MULTI | UNWATCH | INCR {t}a | EXEC

== two who watch the same key: the first EXEC wins
1 > SET {t}a 0
1 > WATCH {t}a
2 > WATCH {t}a
1 > MULTI | INCR {t}a
2 > MULTI | INCR {t}a
2 > EXEC
1 > EXEC
2 > GET {t}a

== a client that leaves while it watches or queues
1 > WATCH {t}a | MULTI | SET {t}a 1
1 leaves
2 > GET {t}a
1 > EXEC

== QUIT and RESET in a transaction
1 > MULTI | SET {t}a 1 | QUIT
2 > MULTI | SET {t}a 1 | RESET | GET {t}a | EXEC
2 > WATCH {t}a | MULTI | QUIT | GET {t}a

== HELLO and CLIENT in a transaction
1 > WATCH {t}a
1 > MULTI | PING | ECHO x | EXEC
1 > CLIENT SETNAME one | MULTI | PING
2 > CLIENT KILL ID @1

== an element for one who waits
1 > BLPOP {t}l 0
2 > RPUSH {t}l a
1 > BLPOP {t}l 0 | PING | SET {t}x 1 | GET {t}x
2 > GET {t}x
2 > RPUSH {t}l b
2 > GET {t}x

== those who wait are served in their order
1 > BLPOP {t}l 0
2 > BRPOP {t}l 0
3 > BLPOP {t}m {t}l 0
4 > RPUSH {t}l a b c d
4 > LRANGE {t}l 0 -1

== what is there already is taken at once
1 > RPUSH {t}l a b
2 > BLPOP {t}m {t}l 0
2 > BLMPOP 0 2 {t}m {t}l LEFT COUNT 10
2 >> BLPOP {t}l 0.01

== timeouts
1 >> BLPOP {t}l 0.05
1 >> BRPOPLPUSH {t}l {t}m 0.05
1 >> BLMPOP 0.05 1 {t}l LEFT
1 >> BZPOPMIN {t}z 0.05
1 >> XREAD BLOCK 50 STREAMS {t}x $
1 >> BLPOP {t}l 0.05 | PING

== elements go from one who waits to the next
1 > BLMOVE {t}a {t}b LEFT RIGHT 0
2 > BLMOVE {t}b {t}c RIGHT LEFT 0
3 > BRPOP {t}c 0
4 > LPUSH {t}a x
4 > EXISTS {t}a {t}b {t}c

== a key of another type does not end the waiting
1 > BLPOP {t}l 0
2 > SET {t}l text
2 > DEL {t}l
2 > RPUSH {t}l a
1 > SET {t}l text | BLPOP {t}l 0
1 > BLPOP {t}m {t}l 0

== sorted sets
1 > BZPOPMAX {t}z 0
2 > BZMPOP 0 2 {t}y {t}z MIN COUNT 2
3 > ZADD {t}z 1 a 2 b 3 c 4 d
3 > ZRANGE {t}z 0 -1 WITHSCORES

== streams
1 > XREAD BLOCK 0 STREAMS {t}x $
2 > XREAD BLOCK 0 STREAMS {t}y {t}x 0 0
3 > XADD {t}x 1-1 f v
1 > XREAD COUNT 1 BLOCK 0 STREAMS {t}x 1-1
3 > XADD {t}x 1-2 f w
3 > DEL {t}x

== groups of a stream
1 > XGROUP CREATE {t}x g $ MKSTREAM
1 > XREADGROUP GROUP g one BLOCK 0 STREAMS {t}x >
2 > XREADGROUP GROUP g two BLOCK 0 STREAMS {t}x >
3 > XADD {t}x 1-1 f v
3 > XADD {t}x 1-2 f w
3 > XADD {t}x 1-3 f w
1 > XREADGROUP GROUP g one BLOCK 0 STREAMS {t}x >
1 > XREADGROUP GROUP g one BLOCK 0 STREAMS {t}x >
3 > XGROUP DESTROY {t}x g
2 > XREADGROUP GROUP g two BLOCK 0 STREAMS {t}x >
3 > XPENDING {t}x g

== a stream that is deleted under a reader of a group
1 > XGROUP CREATE {t}x g $ MKSTREAM
1 > XREADGROUP GROUP g one BLOCK 0 STREAMS {t}x >
2 > DEL {t}x

== a transaction serves those who wait when it is through
1 > BLPOP {t}l 0
2 > MULTI | RPUSH {t}l a b | LPOP {t}l | EXEC
1 > BLPOP {t}l 0
2 > MULTI | RPUSH {t}l a | DEL {t}l | EXEC
2 > EVAL "return redis.call('rpush', KEYS[1], 'x', 'y')" 1 {t}l
2 > LRANGE {t}l 0 -1

== inside a transaction nothing waits
1 > MULTI | BLPOP {t}l 0 | BLMOVE {t}l {t}m LEFT LEFT 0 | BZPOPMIN {t}z 0 | XREAD BLOCK 0 STREAMS {t}x $ | EXEC
1 > RPUSH {t}l a | MULTI | BLPOP {t}l 0 | EXEC

== a transaction behind a command that waits
1 > BLPOP {t}l 0 | MULTI | SET {t}a 1 | EXEC
2 > GET {t}a
2 > RPUSH {t}l x
2 > GET {t}a

== UNBLOCK
1 > BLPOP {t}l 0
2 > CLIENT UNBLOCK @1
2 > CLIENT UNBLOCK @1
1 > BLPOP {t}l 0 | PING
2 > CLIENT UNBLOCK @1 ERROR
1 > XREAD BLOCK 0 STREAMS {t}x $
2 > CLIENT UNBLOCK @1 TIMEOUT
1 > BZMPOP 0 1 {t}z MIN
2 > CLIENT UNBLOCK @1 ERROR
1 > SUBSCRIBE c
2 > CLIENT UNBLOCK @1
2 > CLIENT UNBLOCK x
2 > CLIENT UNBLOCK @1 NOW

== a client that waits is killed, or leaves
1 > BLPOP {t}l 0
2 > BLPOP {t}l 0
3 > CLIENT KILL ID @1
3 > RPUSH {t}l a
2 > BLPOP {t}l 0
2 leaves
3 > RPUSH {t}l b
3 > LRANGE {t}l 0 -1

== commands that wait, and refuse to
1 > BLPOP {t}l -1
1 > BLPOP {t}l x
1 > BLMPOP 0 0 {t}l LEFT
1 > BLMOVE {t}l {t}m UP DOWN 0
1 > XREADGROUP GROUP g one BLOCK 0 STREAMS {t}x >
1 > XREAD BLOCK -1 STREAMS {t}x $
1 > BLPOP {t}l | BZPOPMIN

== a channel
1 > SUBSCRIBE c d
2 > PUBLISH c one
2 > PUBLISH d two | PUBLISH e three
1 > UNSUBSCRIBE c
2 > PUBLISH c four | PUBLISH d five
1 > UNSUBSCRIBE
2 > PUBLISH d six

== subscribed twice is subscribed once
1 > SUBSCRIBE c c | SUBSCRIBE c
2 > PUBLISH c one
1 > UNSUBSCRIBE c | UNSUBSCRIBE c
2 > PUBLISH c one

== patterns and channels
1 > PSUBSCRIBE c* *d
2 > SUBSCRIBE cd
3 > PUBLISH cd one
3 > PUBLISH d two
1 > SUBSCRIBE cd
3 > PUBLISH cd three
1 > PUNSUBSCRIBE *d
3 > PUBLISH cd four
1 > PUNSUBSCRIBE nosuch | PUNSUBSCRIBE
1 > UNSUBSCRIBE
1 > PUBLISH cd five

== shard channels count apart
1 > SSUBSCRIBE {t}c {t}d
1 > SUBSCRIBE {t}c
2 > SPUBLISH {t}c one
2 > PUBLISH {t}c two
1 > SUNSUBSCRIBE {t}c
2 > SPUBLISH {t}c three | SPUBLISH {t}d four
1 > UNSUBSCRIBE | SUNSUBSCRIBE
1 > SUNSUBSCRIBE | PING

== what a subscriber may say (RESP2)
1 > SUBSCRIBE c
1 > GET a | PING | PING x | MULTI | EXEC | WATCH a | BLPOP l 0 | CLIENT ID | HELLO 3 | NOSUCH | GET | PING x y
1 > MONITOR | PUBLISH c x | SELECT 0 | CLIENT REPLY OFF | PUBSUB NUMSUB c | AUTH x
1 > UNSUBSCRIBE
1 > GET a | PING

== what a subscriber may say (RESP3)
1 > SUBSCRIBE c
1 > SET {t}a 1 | GET {t}a | PING | PING x | NOSUCH | GET | MULTI | INCR {t}a | EXEC
2 > PUBLISH c one
1 > PUBLISH c two
1 > WATCH {t}a | MULTI
2 > PUBLISH c three
1 > GET {t}a
1 > EXEC

== a subscriber that waits for an element hears messages (RESP3)
1 > SUBSCRIBE c | SSUBSCRIBE {t}c
1 > BLPOP {t}l 0
2 > PUBLISH c one
2 > SPUBLISH {t}c two
2 > RPUSH {t}l x
2 > PUBLISH c three
1 > BLPOP {t}l 0 | UNSUBSCRIBE c | GET {t}a
2 > PUBLISH c four
2 > RPUSH {t}l x
2 > PUBLISH c five

== a subscriber changes its protocol (RESP3)
1 > SUBSCRIBE c
1 > HELLO 2
1 > GET a
2 > PUBLISH c one
1 > PING
1 > UNSUBSCRIBE
1 > GET a

== RESET ends everything
1 > SUBSCRIBE c | PSUBSCRIBE d* | SSUBSCRIBE e
1 > RESET
2 > PUBLISH c one | PUBLISH d one | SPUBLISH e one
1 > GET a | PING
1 > UNSUBSCRIBE | PUNSUBSCRIBE | SUNSUBSCRIBE
1 > CLIENT SETNAME x | MULTI | RESET | CLIENT GETNAME | EXEC
1 > BLPOP {t}l 0 | RESET | PING
2 > RPUSH {t}l a
1 > CLIENT REPLY OFF | RESET
1 > PING

== QUIT ends everything
1 > SUBSCRIBE c | QUIT | PING
2 > BLPOP {t}l 0 | QUIT | PING
3 > RPUSH {t}l x
3 > PUBLISH c one
4 > MONITOR | QUIT

== subscribers are killed
1 > SUBSCRIBE c
2 > PSUBSCRIBE *
3 > PUBLISH c one
3 > CLIENT KILL TYPE pubsub
3 > PUBLISH c two
1 leaves
1 > SUBSCRIBE c
3 > CLIENT KILL ID @1 SKIPME yes
3 > CLIENT KILL ID 999999999

== a subscriber leaves
1 > SUBSCRIBE c
2 > SUBSCRIBE c
1 leaves
3 > PUBLISH c one

== MONITOR
1 > MONITOR
2 > SET {t}a 1 | GET {t}a
2 > SET {t}a "two words" | GET
2 > NOSUCH x
2 >> BLPOP {t}l 0.02
2 > SUBSCRIBE c
3 > PUBLISH c x
3 > MULTI | SET {t}a 2 | EXEC
3 > MULTI | SET {t}a 3
2 > GET {t}a
4 > GET {t}a
3 > GET {t}a
3 > EXEC
3 > MULTI | SET {t}a 4 | DISCARD
3 > MULTI | SET {t}a 4 | NOSUCH | EXEC
3 > CLIENT GETNAME
1 > RESET
2 > PING
3 > GET {t}a
1 > PING

== replies that nobody wants, and MULTI
1 > CLIENT REPLY OFF | MULTI | SET {t}a 1 | EXEC | CLIENT REPLY ON
2 > GET {t}a
1 > CLIENT REPLY SKIP | MULTI | INCR {t}a | EXEC
1 > MULTI | INCR {t}a | EXEC
1 > WATCH {t}a | CLIENT REPLY OFF | SET {t}a 5 | CLIENT REPLY ON | MULTI | GET {t}a | EXEC

== replies that nobody wants, and waiting
1 > CLIENT REPLY SKIP | BLPOP {t}l 0 | PING
2 > RPUSH {t}l a
2 > LRANGE {t}l 0 -1
1 > CLIENT REPLY OFF | BLPOP {t}l 0 | CLIENT REPLY ON
2 > RPUSH {t}l b

== replies that nobody wants, and messages
1 > SUBSCRIBE c
1 > UNSUBSCRIBE
1 > CLIENT REPLY SKIP | SUBSCRIBE c
1 > PING
2 > PUBLISH c one
1 > UNSUBSCRIBE | CLIENT REPLY OFF | PING | CLIENT REPLY ON
1 > CLIENT REPLY OFF | SUBSCRIBE c | UNSUBSCRIBE c | PING | CLIENT REPLY ON

== messages to who wants no replies (RESP3)
1 > SUBSCRIBE c | CLIENT REPLY OFF | PING
2 > PUBLISH c one
1 > CLIENT REPLY ON
2 > PUBLISH c two

== what clients say of themselves
1 > CLIENT NO-EVICT on | CLIENT NO-EVICT off | CLIENT NO-EVICT maybe | CLIENT SETNAME one | CLIENT GETNAME
1 > MULTI | PING | EXEC
1 > CLIENT GETNAME | RESET | CLIENT GETNAME
"""


class ClientsTest(BesideOneServerTest):
    proxy_flags = {"workers": 2}

    def is_nobody_subscribed(self):
        """At the nodes: then a message of before is not taken for one of those that come."""
        return all(
            node.command("PUBSUB", "CHANNELS") == node.command("PUBSUB", "SHARDCHANNELS") == []
            and node.command("PUBSUB", "NUMPAT") == 0
            for node in self.cluster.primaries()
        )

    def play(self, steps, protocol, in_turn=False):
        self.eventually(self.is_nobody_subscribed)
        for address in (self.server.address, self.proxy.address):
            with RespClient(address) as client:
                client.ok("FLUSHALL")
        reference = Side(self.server.address, protocol)
        subject = Side(self.proxy.address, protocol, [node.address for node in self.cluster.primaries()])
        try:
            return play(steps, reference, subject, in_turn)
        finally:
            reference.close()
            subject.close()

    def test_scripts(self):
        for script in parse(_SCRIPTS):
            for protocol in script.protocols:
                with self.subTest(script=script.name, protocol=protocol):
                    problem = self.play(script.steps, protocol)
                    self.assertIsNone(problem, problem)

    def test_by_chance(self):
        failed = []
        for seed in range(FIRST_SEED, FIRST_SEED + ROUNDS):
            protocol = 3 if seed % 2 else 2
            steps = Conversation(random.Random(seed)).steps(STEPS_PER_ROUND)
            problem = self.play(steps, protocol, in_turn=True)
            if problem is not None:
                repeat = (f"bazel test //testing:integration_clients_test --test_env=RCPROXY_TEST_SEED={seed} "
                          "--test_env=RCPROXY_TEST_ROUNDS=1")  # fmt: skip
                failed.append(f"seed {seed}, RESP{protocol}: {problem}\n  repeat with: {repeat}")
        print(f"{ROUNDS} seeds from {FIRST_SEED} on, {STEPS_PER_ROUND} steps each")
        self.assertEqual(failed, [], "\n".join(failed))


if __name__ == "__main__":
    unittest.main()
