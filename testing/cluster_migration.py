"""Moves slots between the nodes of a cluster, in the steps that the Redis Cluster specification prescribes.

A moving slot answers ASK for keys that have left and TRYAGAIN for commands whose keys are on both sides; when
it has moved, the source answers MOVED. Tests want to see all of these, so a slot can be held half moved.
"""

import random
import time

from testing.resp_client import RespError, check

_KEYS_PER_STEP = 50
_SLOTS_PER_STEP = 200


def _check_all(replies):
    return [check(reply) for reply in replies]


def _allow_demoted(reply):
    """A source that gave away its last slot has made itself a replica of the target meanwhile."""
    if isinstance(reply, RespError) and "only with masters" not in reply.text:
        raise reply


def _wait_until(condition, otherwise):
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.005)


class SlotMigration:
    """The part of Cluster that moves slots. Needs its nodes, primaries(), slots_of() and running()."""

    def begin_migration(self, slot, source, target):
        """From now on keys that are not (or no longer) at `source` are answered with ASK."""
        self._wait_until_primaries(source, target)
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)

    def move_keys(self, slot, source, target, count=None, pause_s=0):
        """Moves up to `count` keys (all by default), one by one; returns how many went."""
        moved = 0
        login = ("AUTH2", *target.login) if target.login else ()
        while count is None or moved < count:
            keys = source.command("CLUSTER", "GETKEYSINSLOT", slot, _KEYS_PER_STEP)
            if not keys:
                break
            for key in keys[: None if count is None else count - moved]:
                # NOKEY is a good answer: the key expired or was deleted since we asked.
                source.command("MIGRATE", target.host, target.port, key, 0, 10000, *login)
                moved += 1
                if pause_s:
                    time.sleep(pause_s)
        return moved

    def finish_migration(self, slot, source, target):
        self._finish_together([slot], source, target)

    def _finish_together(self, slots, source, target):
        """The new owner first: it raises its epoch, and everybody believes it from then on.

        All have to hear it from the new owner. Who is told by SETSLOT before, and then gets an older message of
        it without the slot, doubts for good that it owns the slot (redis 7.0, owner_not_claiming_slot); and gives
        the slot away to an old message of a former owner when it owns it itself one day.
        """
        self.wait_for_epochs(target)
        finish = [("CLUSTER", "SETSLOT", slot, "NODE", target.id) for slot in slots]
        _check_all(target.pipeline(finish))
        moved = set(slots)
        _wait_until(
            lambda: all(moved.issubset(node.slots_of(target)) for node in self.running()),
            f"not all hear that {target} owns {slots}",
        )
        for reply in source.pipeline(finish):  # It is no longer migrating.
            _allow_demoted(reply)

    def wait_for_epochs(self, target):
        """Until `target` has heard of every epoch there is.

        A target that believes its own epoch to be the highest does not raise it, and a node that then hears
        an older message of the source, with a really higher epoch, would bind the slot back for good.
        """
        highest = max(int(node.cluster_info()["cluster_current_epoch"]) for node in self.running())
        _wait_until(
            lambda: int(target.cluster_info()["cluster_current_epoch"]) >= highest,
            f"{target} does not hear of epoch {highest}",
        )

    def wait_until_all_know(self, owner):
        """Until every node has heard of the epoch of a new owner: before, an older message of the former one, with
        a higher epoch than the new owner had, binds the slot back. Needed where slots move on at once."""
        epoch = owner.cluster_info()["cluster_my_epoch"]
        _wait_until(
            lambda: all(node.config_epoch_of(owner) == epoch for node in self.running()),
            f"not all hear of the epoch of {owner}",
        )

    def _wait_until_primaries(self, one, other):
        """Until each knows that the other is one: soon after a failover not everybody has heard of it."""
        for node, by in ((one, other), (other, one)):
            _wait_until(
                lambda node=node, by=by: "master" in by.cluster_nodes()[node.id]["flags"],
                f"{by} does not hear that {node} is a primary",
            )

    def migrate_slot(self, slot, source, target, pause_s=0):
        """All of it, while clients may be writing to the slot; returns how many keys were moved."""
        self.begin_migration(slot, source, target)
        # None comes behind the last one: what a migrating slot does not have is written at the target.
        moved = self.move_keys(slot, source, target, pause_s=pause_s)
        self.finish_migration(slot, source, target)
        return moved

    def migrate_random_slot(self, generator=random, pause_s=0):
        """A slot of a random primary goes to another one; returns (slot, source, target)."""
        source, target = generator.sample(self.primaries(), 2)
        slot = generator.choice(self.slots_of(source))
        self.migrate_slot(slot, source, target, pause_s)
        return slot, source, target

    def move_all_slots(self, source, targets):
        """Empties `source`, to be able to remove it; its slots are dealt out to `targets`."""
        slots = self.slots_of(source)
        for index, target in enumerate(targets):
            self.migrate_slots(slots[index :: len(targets)], source, target)
        return len(slots)

    def migrate_slots(self, slots, source, target):
        """Many slots, some hundred at a time: for when the number matters and not the single step."""
        for first in range(0, len(slots), _SLOTS_PER_STEP):
            self._migrate_together(slots[first : first + _SLOTS_PER_STEP], source, target)

    def _migrate_together(self, slots, source, target):
        self._wait_until_primaries(source, target)
        _check_all(target.pipeline([("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id) for slot in slots]))
        _check_all(source.pipeline([("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id) for slot in slots]))
        counts = _check_all(source.pipeline([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots]))
        for slot, count in zip(slots, counts):
            if count:
                self.move_keys(slot, source, target)
        self._finish_together(slots, source, target)
