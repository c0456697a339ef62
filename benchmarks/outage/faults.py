"""What is done to the cluster, and since when its nodes say that all is well again.

A fault is a function of a Scene. It blocks, and returns the moment (time.monotonic) from which on the new owner of the
struck slots accepted writes. heal() brings the cluster back to what it was.
"""

import time

from testing.resp_client import Disconnected, RespError

_MIGRATED_SLOTS = 400


class Scene:
    """The cluster, the primary that is struck, its replica, another primary, and the slots that are affected."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.victim = next(node for node in cluster.primaries() if cluster.replicas(node))
        self.replica = cluster.replicas(self.victim)[0]
        self.other = next(node for node in cluster.primaries() if node is not self.victim)
        self.slots = cluster.slots_of(self.victim)

    def wait_until_accepted(self, node, key):
        """By asking the node itself every few milliseconds, as no client does."""
        while True:
            try:
                if node.command("SET", key, "asked directly") == "OK":
                    return time.monotonic()
            except (RespError, OSError, Disconnected):
                pass
            time.sleep(0.005)


def planned_failover(scene, key):
    """CLUSTER FAILOVER at the replica"""
    scene.cluster.begin_failover(scene.replica)
    return scene.wait_until_accepted(scene.replica, key)


def killed_primary(scene, key):
    """SIGKILL of a primary"""
    scene.cluster.kill(scene.victim)
    return scene.wait_until_accepted(scene.replica, key)


def hanging_primary(scene, key):
    """SIGSTOP of a primary"""
    scene.cluster.pause(scene.victim)
    return scene.wait_until_accepted(scene.replica, key)


def moving_slots(scene, key):
    """migration of 400 slots with their keys"""
    scene.cluster.migrate_slots(scene.slots[:_MIGRATED_SLOTS], scene.victim, scene.other)
    return scene.wait_until_accepted(scene.other, key)


def affected_slots(fault, scene):
    return scene.slots[:_MIGRATED_SLOTS] if fault is moving_slots else scene.slots


def heal(scene):
    if scene.victim.paused:
        scene.cluster.resume(scene.victim)
    if not scene.victim.is_running():
        scene.cluster.restart(scene.victim)
    scene.cluster.wait_until_ok(60)


FAULTS = {fault.__name__: fault for fault in (planned_failover, killed_primary, hanging_primary, moving_slots)}
