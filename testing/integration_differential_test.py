"""Every read command that rcproxy serves, asked through rcproxy and of one standalone server of the same version:
the replies must be the same bytes, in RESP2 and in RESP3, one at a time and in one pipeline.

Keys of one command share a slot where a cluster wants that; MGET and its kind do not.
"""

import random
import unittest

from testing.integration_base import BesideOneServerTest
from testing.resp_client import RespClient, encode
from testing.resp_frames import FrameClient, shape

_WRITES = """
SET s hello
SET n 12
SET expires later PXAT 33177117420000
SETRANGE bits 0 \xf0\x0fabc
SET {t}s1 ohmytext
SET {t}s2 mynewtext
HSET h a 1 b two c 3.5
HSET {t}h a 1
RPUSH l a b c b 3 2 1
RPUSH numbers 3 1 2
SADD set x y z 1
SADD ints 1 2 3 40
SADD {t}set1 a b c 1
SADD {t}set2 b c d 1
ZADD z 1 one 2.5 two 3 three inf last -inf first
ZADD lex 0 a 0 b 0 c 0 d
ZADD {t}z1 1 a 2 b 3.25 c
ZADD {t}z2 10 b 20 c 30 d
GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
PFADD {t}pf1 a b c
PFADD {t}pf2 c d
XADD stream 1-1 f v g w
XADD stream 2-1 f x
XADD {t}stream 5-5 k v
XGROUP CREATE stream group 0
XGROUP CREATECONSUMER stream group nobody
"""

# By command. A word in quotes may be empty.
_READS = """
BITCOUNT bits | BITCOUNT bits 0 1 | BITCOUNT bits 0 7 BIT | BITCOUNT nothing | BITCOUNT l | BITCOUNT bits x y
BITFIELD_RO bits GET u8 0 GET i4 4 | BITFIELD_RO nothing GET u8 0 | BITFIELD_RO bits SET u8 0 1
BITPOS bits 1 | BITPOS bits 0 | BITPOS bits 2 | BITPOS nothing 1
DBSIZE | DBSIZE x
DUMP s | DUMP nothing
EVAL_RO return{1,'two',{ok='three'},false} 0 | EVAL_RO return{redis.setresp(3),redis.call('hgetall',KEYS[1])} 1 h
EVAL_RO return{double=3.5} 0 | EVAL_RO return{map={a=1}} 0 | EVAL_RO return{err='MINE\\40x'} 0 | EVAL_RO x 1 s
EVAL_RO return(redis.call('get',KEYS[1])) 1 nothing | EVAL_RO return{big_number='12345678901234567890123'} 0
EVALSHA_RO ffffffffffffffffffffffffffffffffffffffff 1 s | EVALSHA_RO x 0
EXISTS s | EXISTS s n l nothing s | EXISTS {t}s1 {t}s2 | EXISTS
EXPIRETIME expires | EXPIRETIME s | EXPIRETIME nothing
FCALL_RO nosuch 0 | FCALL_RO nosuch 1 s
GEODIST geo Palermo Catania | GEODIST geo Palermo Catania km | GEODIST geo Palermo nowhere | GEODIST s a b
GEOHASH geo Palermo nowhere Catania | GEOHASH nothing x
GEOPOS geo Palermo nowhere | GEOPOS nothing x | GEOPOS geo
GEORADIUS_RO geo 15 37 200 km WITHDIST WITHCOORD WITHHASH ASC | GEORADIUS_RO geo 15 37 200 km ASC
GEORADIUSBYMEMBER_RO geo Palermo 200 km ASC WITHDIST | GEORADIUSBYMEMBER_RO geo nowhere 200 km
GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHCOORD WITHDIST | GEOSEARCH geo FROMMEMBER Palermo BYBOX 1 1 m
GET s | GET nothing | GET l | GET | GET s s
GETBIT bits 1 | GETBIT bits 100 | GETBIT bits x
GETRANGE s 1 3 | GETRANGE nothing 0 -1 | GETRANGE s a b
HEXISTS h a | HEXISTS h nothing | HEXISTS s a
HGET h a | HGET h nothing | HGET nothing a | HGET s a
HGETALL h | HGETALL nothing | HGETALL s
HKEYS h | HKEYS nothing
HLEN h | HLEN nothing
HMGET h a nothing c | HMGET nothing a b | HMGET h
HRANDFIELD {t}h | HRANDFIELD h 10 | HRANDFIELD h 10 WITHVALUES | HRANDFIELD nothing | HRANDFIELD nothing 3 WITHVALUES
HRANDFIELD {t}h -2 WITHVALUES | HRANDFIELD h x
HSCAN h 0 | HSCAN h 0 MATCH a* COUNT 100 | HSCAN nothing 0 | HSCAN h x
HSTRLEN h b | HSTRLEN h nothing
HVALS h | HVALS nothing
KEYS * | KEYS {t}* | KEYS nothing
LCS {t}s1 {t}s2 | LCS {t}s1 {t}s2 LEN | LCS {t}s1 {t}s2 IDX MINMATCHLEN 2 WITHMATCHLEN | LCS {t}s1 {t}set1
LINDEX l 0 | LINDEX l -1 | LINDEX l 99 | LINDEX s 0
LLEN l | LLEN nothing | LLEN s
LOLWUT | LOLWUT VERSION x
LPOS l b | LPOS l nothing | LPOS l b COUNT 0 | LPOS l nothing COUNT 0 | LPOS nothing b
LRANGE l 0 -1 | LRANGE l 5 1 | LRANGE nothing 0 -1 | LRANGE l x y
MGET s nothing l n | MGET {t}s1 {t}s2 | MGET nothing | MGET
OBJECT ENCODING s | OBJECT ENCODING n | OBJECT ENCODING z | OBJECT ENCODING nothing
OBJECT FREQ s | OBJECT FREQ nothing
OBJECT IDLETIME nothing
OBJECT REFCOUNT s | OBJECT REFCOUNT nothing
PEXPIRETIME expires | PEXPIRETIME s | PEXPIRETIME nothing
PFCOUNT {t}pf1 | PFCOUNT {t}pf1 {t}pf2 | PFCOUNT nothing | PFCOUNT s
PTTL s | PTTL nothing
SCARD set | SCARD nothing
SDIFF {t}set1 {t}set2 | SDIFF {t}set1 | SDIFF nothing
SINTER {t}set1 {t}set2 | SINTER {t}set1 {t}nothing | SINTER {t}set1 {t}s1
SINTERCARD 2 {t}set1 {t}set2 | SINTERCARD 2 {t}set1 {t}set2 LIMIT 1 | SINTERCARD 0 a
SISMEMBER set x | SISMEMBER set nothing
SMEMBERS set | SMEMBERS ints | SMEMBERS nothing | SMEMBERS s
SMISMEMBER set x nothing z | SMISMEMBER nothing x
SORT_RO l ALPHA | SORT_RO numbers | SORT_RO numbers DESC LIMIT 0 2 | SORT_RO nothing | SORT_RO l
SRANDMEMBER set 10 | SRANDMEMBER nothing | SRANDMEMBER nothing 3 | SRANDMEMBER set x
SSCAN ints 0 | SSCAN nothing 0 | SSCAN ints 0 MATCH 4*
STRLEN s | STRLEN nothing
SUBSTR s 0 1
SUNION {t}set1 {t}set2 | SUNION nothing
TOUCH s n nothing | TOUCH s
TTL s | TTL nothing
TYPE s | TYPE l | TYPE set | TYPE z | TYPE h | TYPE stream | TYPE nothing
XINFO CONSUMERS stream nogroup | XINFO CONSUMERS {t}stream group
XINFO GROUPS stream | XINFO GROUPS {t}stream | XINFO GROUPS nothing
XINFO STREAM stream | XINFO STREAM {t}stream FULL | XINFO STREAM nothing
XLEN stream | XLEN nothing
XPENDING stream group | XPENDING stream group - + 10 | XPENDING stream nogroup
XRANGE stream - + | XRANGE stream 2 + COUNT 1 | XRANGE nothing - + | XRANGE stream x y
XREAD STREAMS stream {t}stream nothing 0 0 0 | XREAD COUNT 1 STREAMS {t}stream stream $ 1-1 | XREAD STREAMS stream s 0 0
XREAD STREAMS stream {t}stream 0 | XREAD STREAMS stream {t}stream 99 $ | XREAD STREAMS stream {t}stream 0 x
XREAD STREAMS stream 0 | XREAD COUNT 1 STREAMS stream 1-1 | XREAD STREAMS stream $ | XREAD STREAMS nothing 0
XREVRANGE stream + - COUNT 1 | XREVRANGE nothing + -
ZCARD z | ZCARD nothing
ZCOUNT z 1 3 | ZCOUNT z -inf +inf | ZCOUNT z x y
ZDIFF 2 {t}z1 {t}z2 | ZDIFF 2 {t}z1 {t}z2 WITHSCORES
ZINTER 2 {t}z1 {t}z2 | ZINTER 2 {t}z1 {t}z2 WEIGHTS 2 0.5 WITHSCORES | ZINTER 2 {t}z1 {t}z2 AGGREGATE MAX WITHSCORES
ZINTERCARD 2 {t}z1 {t}z2 | ZINTERCARD 2 {t}z1 {t}z2 LIMIT 1
ZLEXCOUNT lex - + | ZLEXCOUNT lex [a (c
ZMSCORE z one nothing last | ZMSCORE nothing a b
ZRANDMEMBER nothing | ZRANDMEMBER z 10 | ZRANDMEMBER z 10 WITHSCORES | ZRANDMEMBER nothing 3 WITHSCORES
ZRANGE z 0 -1 | ZRANGE z 0 -1 WITHSCORES | ZRANGE z 1 3 BYSCORE LIMIT 0 1 | ZRANGE z 0 -1 REV WITHSCORES | ZRANGE s 0 -1
ZRANGEBYLEX lex [b + | ZRANGEBYLEX lex x y
ZRANGEBYSCORE z -inf +inf | ZRANGEBYSCORE z 2 +inf WITHSCORES LIMIT 0 2
ZRANK z two | ZRANK z nothing | ZRANK nothing x
ZREVRANGE z 0 1 | ZREVRANGE z 0 -1 WITHSCORES
ZREVRANGEBYLEX lex + -
ZREVRANGEBYSCORE z +inf -inf WITHSCORES
ZREVRANK z two | ZREVRANK z nothing
ZSCAN z 0 | ZSCAN nothing 0
ZSCORE z two | ZSCORE z last | ZSCORE z nothing | ZSCORE nothing x
ZUNION 2 {t}z1 {t}z2 | ZUNION 2 {t}z1 {t}z2 WITHSCORES
"""

# Their contents are chance, time or memory: only the shape is compared.
_OF_ANY_CONTENT = """
MEMORY USAGE s | MEMORY USAGE nothing
OBJECT IDLETIME s
TTL expires | PTTL expires
HRANDFIELD h | HRANDFIELD h -5 | HRANDFIELD h 2 WITHVALUES
SRANDMEMBER set | SRANDMEMBER set -5 | SRANDMEMBER set 2
ZRANDMEMBER z | ZRANDMEMBER z -5 | ZRANDMEMBER z -2 WITHSCORES
XINFO CONSUMERS stream group
XINFO STREAM stream FULL
TIME | LASTSAVE | RANDOMKEY
"""

# What rcproxy answers itself.
_LOCAL = """
PING | PING x | ECHO x | CLIENT GETNAME | CLIENT GETREDIR | CLIENT TRACKINGINFO | CLIENT NO-EVICT on | CLIENT UNBLOCK 1
CONFIG GET save | CONFIG GET nosuch | COMMAND INFO nosuch | COMMAND COUNT x | COMMAND GETKEYS MSET a b c d
COMMAND GETKEYSANDFLAGS GET a | COMMAND LIST FILTERBY MODULE x | COMMAND DOCS nosuch | ACL WHOAMI | ACL CAT nosuch
SLOWLOG GET | SLOWLOG LEN | LATENCY LATEST | LATENCY HISTORY x | LATENCY RESET | LATENCY GRAPH x
INFO nosuch | INFO modules | SELECT 0 | SELECT 99 | ROLE | CLUSTER INFO | HELLO x | HELLO 9
CLIENT KILL 1.2.3.4:5 | CLIENT KILL ID 99999 | CLIENT KILL ID x | CLIENT LIST ID 99999 | CLIENT LIST x | CLIENT UNPAUSE
CLIENT PAUSE 0 | CLIENT PAUSE 1 x | CONFIG RESETSTAT | NOSUCH | CLIENT NOSUCH | CLIENT SETNAME | RESET x | QUIT
"""

_UNORDERED = {
    "KEYS", "SMEMBERS", "SINTER", "SUNION", "SDIFF", "HGETALL", "HKEYS", "HVALS", "HRANDFIELD", "SRANDMEMBER",
    "ZRANDMEMBER",
}  # fmt: skip


def _commands(text):
    return [tuple(part.split()) for line in text.strip().split("\n") for part in line.split("|")]


class DifferentialTest(BesideOneServerTest):
    proxy_flags = {"workers": 2}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for address in (cls.server.address, cls.proxy.address):
            with RespClient(address) as client:
                for line in _WRITES.strip().split("\n"):
                    client.ok(*(word.encode("latin-1") for word in line.split()))
                for index in range(20):  # What assert_proxy_serves will write.
                    client.ok("SET", f"alive:{index}", index)

    def clients(self, protocol):
        """One of the server and one of rcproxy."""
        clients = []
        for address in (self.server.address, self.proxy.address):
            client = FrameClient(address)
            self.addCleanup(client.close)
            if protocol == 3:
                self.assertTrue(client.command("HELLO", 3).startswith(b"%7\r\n"))
            clients.append(client)
        return clients

    def ask(self, client, command):
        """The reply, in an order of its own where it has none."""
        client.send(encode(*command))
        return self.read(client, command)

    def read(self, client, command):
        frame = client.read_reply()
        if command[0] not in _UNORDERED or frame[:1] not in (b"*", b"~", b"%"):
            return frame
        header, parts = client.last_parts
        if frame[:1] == b"%" or command[0] == "HGETALL":
            parts = [a + b for a, b in zip(parts[::2], parts[1::2])]
        return header + b"".join(sorted(parts))

    def in_both_protocols(self, check):
        for protocol in (2, 3):
            with self.subTest(protocol=protocol):
                check(*self.clients(protocol))

    def test_one_at_a_time(self):
        def check(server, proxy):
            for command in _commands(_READS) + _commands(_LOCAL):
                self.assertEqual(self.ask(proxy, command), self.ask(server, command), command)

        self.in_both_protocols(check)

    def test_shapes_where_the_contents_differ(self):
        def check(server, proxy):
            for command in _commands(_OF_ANY_CONTENT):
                theirs, ours = self.ask(server, command), self.ask(proxy, command)
                if not ours.startswith(b"-ERR RANDOMKEY is not available"):
                    self.assertEqual(shape(ours), shape(theirs), command)

        self.in_both_protocols(check)

    def test_in_one_pipeline(self):
        commands = _commands(_READS) * 3
        random.Random(1).shuffle(commands)

        def check(server, proxy):
            expected = [self.ask(server, command) for command in commands]
            proxy.send(b"".join(encode(*command) for command in commands))
            for command, reply in zip(commands, expected):
                self.assertEqual(self.read(proxy, command), reply, command)

        self.in_both_protocols(check)

    def test_protocols_change_within_a_pipeline(self):
        chance = random.Random(2)
        commands = []
        for command in _commands(_READS):
            commands.append(command)
            if chance.random() < 0.3:
                commands.append(chance.choice([("HELLO", "2"), ("HELLO", "3"), ("RESET",), ("CLIENT", "REPLY", "ON")]))
        server, proxy = self.clients(2)
        expected = [self.ask(server, command) for command in commands]
        proxy.send(b"".join(encode(*command) for command in commands))
        for command, reply in zip(commands, expected):
            ours = self.read(proxy, command)
            if command[0] == "HELLO":
                self.assertEqual(ours[:1], reply[:1])
            else:
                self.assertEqual(ours, reply, command)

    def test_replies_that_nobody_wants(self):
        chance = random.Random(3)
        commands = []
        for command in _commands(_READS):
            if chance.random() < 0.3:
                commands.append(("CLIENT", "REPLY", chance.choice(["OFF", "SKIP", "SKIP", "ON", "ON"])))
            commands.append(command)
        commands += [("CLIENT", "REPLY", "ON"), ("ECHO", "the end")]
        streams = []
        for client in self.clients(2):
            client.send(b"".join(encode(*command) for command in commands))
            frames = [client.read_reply()]
            while not frames[-1].endswith(b"the end\r\n"):
                frames.append(client.read_reply())
            streams.append([sorted(frame) if b"{t}s" in frame or frame[:1] == b"*" else frame for frame in frames])
        self.assertEqual(streams[1], streams[0])

    def test_clients_of_both_protocols_side_by_side(self):
        pairs = [self.clients(2), self.clients(3), self.clients(2), self.clients(3)]
        commands = _commands(_READS)
        for server, proxy in pairs:
            proxy.send(b"".join(encode(*command) for command in commands))
        for server, proxy in pairs:
            for command in commands:
                self.assertEqual(self.read(proxy, command), self.ask(server, command), command)

    def test_no_read_command_is_left_out(self):
        server, proxy = RespClient(self.server.address), RespClient(self.proxy.address)
        served = {name.decode() for name in proxy.command("COMMAND", "LIST")}
        reads = set()

        def collect(infos):
            for info in infos:
                if "readonly" in info[2] and info[0].decode() in served:
                    reads.add(info[0].decode().replace("|", " ").upper())
                collect(info[9])

        collect(server.command("COMMAND"))
        asked = {" ".join(command[:n]) for command in _commands(_READS + _OF_ANY_CONTENT) for n in (1, 2)}
        self.assertGreater(len(reads), 80)
        self.assertEqual(reads - asked - {"SCAN"}, set())  # A cursor means something to who gave it only.
        server.close()
        proxy.close()


if __name__ == "__main__":
    unittest.main()
