"""Counters that many clients increment by WATCH, GET, MULTI, SET and EXEC: no increment is lost, counted twice or
invented while slots move, primaries fail over and are killed.

A number that EXEC has set counts as acknowledged when nothing can take it back: at once where nothing is killed; else
when WAIT says that a replica has it, since a primary that is killed takes with it what it has not replicated. What
EXEC or WAIT left open is unknown. In the end each number up to the counter's value was set by somebody, once.
"""

import time
import unittest

from testing.background import Background
from testing.integration_base import IntegrationTest
from testing.resp_client import RespError

CLIENTS = 20


class Counter:
    """A key with a number, and what clients were told when they incremented it."""

    def __init__(self, key):
        self.key = key
        self.acknowledged = []
        self.unknown = []

    def increment(self, client, awaits_replica):
        """Tries to, once. A transaction that was not executed, or an error that says so, is nothing."""
        if client.command("WATCH", self.key) != "OK":
            return
        value = client.command("GET", self.key)
        if not isinstance(value, bytes):
            client.command("UNWATCH")
            return
        number = int(value) + 1
        client.command("MULTI")
        client.command("SET", self.key, number)
        reply = client.command("EXEC")
        if reply == ["OK"]:
            self._note(number, not awaits_replica or self._has_reached_a_replica(client))
        elif isinstance(reply, RespError) and "may or may not" in reply.text:
            self._note(number, False)

    @staticmethod
    def _has_reached_a_replica(client):
        replicas = client.command("WAIT", 1, 500)
        return not isinstance(replicas, RespError) and replicas >= 1

    def _note(self, number, is_acknowledged):
        (self.acknowledged if is_acknowledged else self.unknown).append(number)

    def problems(self, value):
        """What is wrong, when `value` is what it has come to."""
        numbers = set(self.acknowledged)
        found = {
            "acknowledged twice": len(self.acknowledged) - len(numbers),
            "lost": sorted(numbers - set(range(1, value + 1))),
            "invented": sorted(set(range(1, value + 1)) - numbers - set(self.unknown)),
        }
        return {what: which for what, which in found.items() if which}


class Incrementing(Background):
    """CLIENTS clients that increment the counters, each one of them, until the end of the `with`."""

    def __init__(self, proxy, counters, awaits_replica):
        super().__init__([(proxy, counters[index % len(counters)]) for index in range(CLIENTS)])
        self.failures = []
        self._awaits_replica = awaits_replica

    def work(self, proxy, counter):
        try:
            with proxy.client() as client:
                while not self.is_over.is_set():
                    counter.increment(client, self._awaits_replica)
        except Exception as failure:  # The test looks at them.
            self.failures.append(repr(failure))


class CounterTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 1, "node_timeout_ms": 1500}
    proxy_flags = {"workers": 2}

    def check(self, counter):
        value = int(self.client.ok("GET", counter.key))
        told = f"{counter.key} is {value}: {len(counter.acknowledged)} known, {len(counter.unknown)} unknown"
        print(told)
        self.assertEqual(counter.problems(value), {}, told)

    def grows(self, counter, by):
        """It is incremented again: all is well."""
        reached = len(counter.acknowledged) + by
        self.eventually(lambda: len(counter.acknowledged) > reached, timeout_s=30, message=f"{counter.key} grows")

    def test_slots_move_and_a_primary_fails_over(self):
        counter = Counter("{counter}")
        self.client.ok("SET", counter.key, 0)
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", counter.key)
        with Incrementing(self.proxy, [counter], awaits_replica=False) as incrementing:
            for _ in range(5):
                source, target = self.owner_and_another(counter.key)
                self.cluster.migrate_slot(slot, source, target)
                self.cluster.wait_until_all_know(target)
            self.cluster.failover(self.cluster.replicas(self.node_of(counter.key))[0])
            self.cluster.wait_until_ok()
            self.grows(counter, by=100)
        self.assertEqual(incrementing.failures, [])
        self.check(counter)

    def test_primaries_are_killed(self):
        counters = [self.counter_at(primary) for primary in self.cluster.primaries()]
        for counter in counters:
            self.client.ok("SET", counter.key, 0)
        self.assertGreaterEqual(self.client.ok("WAIT", 1, 10_000), 1)
        with Incrementing(self.proxy, counters, awaits_replica=True) as incrementing:
            # The first one's a second time: its replica of then, and back again.
            for counter in [*counters, counters[0]]:
                self.grows(counter, by=20)
                self.kill_and_replace(self.node_of(counter.key))
            for counter in counters:
                self.grows(counter, by=20)
        self.assertEqual(incrementing.failures, [])
        for counter in counters:
            self.check(counter)

    def counter_at(self, primary):
        slots = set(self.cluster.slots_of(primary))
        keys = (f"counter:{index}" for index in range(1000))
        return Counter(next(key for key in keys if primary.command("CLUSTER", "KEYSLOT", key) in slots))

    def kill_and_replace(self, primary):
        """Its replica takes over, then it is back as a replica of that."""
        replica = self.cluster.replicas(primary)[0]
        while not self.cluster.may_stand_for_election(replica):
            time.sleep(0.1)
        self.cluster.kill(primary)
        self.cluster.wait_for_promotion(primary)
        self.cluster.restart(primary)
        self.cluster.wait_until_ok(60)


if __name__ == "__main__":
    unittest.main()
