"""What goes wrong in clusters, done to one on purpose, at random from a seed, while checking load runs through rcproxy.

    with Cluster(3, 1, node_timeout_ms=1000) as cluster, RcproxyProcess(cluster.addresses()) as proxy:
        result = Chaos(cluster, proxy.address, seed=1).run(seconds=30)
        assert not result.problems

No reply may be wrong or somebody else's; no client may be disconnected; errors are those that rcproxy documents, and
once the cluster says that it is well there are none. A write that was acknowledged may only be missing when a
primary was lost, since replication is asynchronous.
"""

import random
import re
import time

from testing.cluster import Cluster, ClusterError, Node
from testing.harness_load import Load
from testing.resp_client import RespError

# What clients may see while a part of the cluster does not serve.
DOCUMENTED_ERRORS = re.compile(r"CLUSTERDOWN |LOADING |TRYAGAIN |ERR upstream ")


class RemoteNode(Node):
    """A node that somebody else has started: it can be asked, but not killed."""

    def __init__(self, host, port, node_id):
        super().__init__(port, 0, None)
        self.host = host
        self.id = node_id

    def is_running(self):
        return True

    def log_tail(self, lines=15):
        return ""


class RemoteCluster(Cluster):
    """A cluster that runs already, found from one of its nodes; it is left as it is."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        first = RemoteNode(host, int(port), None)
        self.nodes = [self._node(*entry) for entry in self._addresses(first)]
        timeout_ms = int(first.command("CONFIG", "GET", "cluster-node-timeout")[1])
        first.disconnect()
        self._elected_at = {}
        self._election_pause_s = self._pause_between_elections(timeout_ms)

    @staticmethod
    def _addresses(node):
        for line in node.command("CLUSTER", "NODES").decode().splitlines():
            fields = line.split(" ")
            if "fail" not in fields[2].split(",") and "noaddr" not in fields[2]:
                yield fields[0], fields[1].split("@")[0], node.host

    @staticmethod
    def _node(node_id, address, asked_host):
        host, _, port = address.rpartition(":")
        return RemoteNode(host or asked_host, int(port), node_id)

    def start(self):
        pass

    def stop(self):
        for node in self.nodes:
            node.disconnect()


class Result:
    """`problems` is empty when all went as it has to."""

    def __init__(self):
        self.faults = []
        self.problems = []
        self.report = None


class Chaos:
    """Faults are methods named fault_*; those of LOSES may lose acknowledged writes, those of NEEDS_PROCESSES
    need a cluster of our own."""

    LOSES = ("kill", "pause", "failover_force")
    NEEDS_PROCESSES = ("kill", "pause")

    def __init__(self, cluster, proxy_address, seed, faults=None, say=print):
        self.cluster = cluster
        self._proxy_address = proxy_address
        self._seed = seed
        self._random = random.Random(seed)
        self._say = say
        self._faults = list(faults or self.known_faults(not isinstance(cluster, RemoteCluster)))

    @classmethod
    def known_faults(cls, own_processes=True):
        names = sorted(name[len("fault_") :] for name in dir(cls) if name.startswith("fault_"))
        return [name for name in names if own_processes or name not in cls.NEEDS_PROCESSES]

    def run(self, seconds, threads=4):
        result = Result()
        load = Load(self._proxy_address, threads=threads, seed=self._seed, prefix=f"chaos{self._seed}").start()
        load.may_lose(any(name in self.LOSES for name in self._faults))
        began = time.monotonic()
        try:
            while time.monotonic() - began < seconds:
                name = self._random.choice(self._faults)
                what = getattr(self, "fault_" + name)()
                result.faults.append(f"{time.monotonic() - began:6.2f} s {name} {what}")
                self._say(result.faults[-1])
                time.sleep(self._random.uniform(0, 0.5))
            self._wait_until_well()
        except (ClusterError, TimeoutError) as error:
            result.problems.append(f"the cluster itself did not heal: {error}")
        healed_at = time.monotonic()
        time.sleep(2)
        result.report = load.stop()
        self._judge(result, healed_at)
        return result

    def _wait_until_well(self):
        self.cluster.wait_until_ok(60)
        for node in self.cluster.primaries():
            # Waits as a write does while the node pauses its clients, which it tells nobody.
            node.command("PUBLISH", "chaos", "are writes executed?")

    def _judge(self, result, healed_at):
        report = result.report
        result.problems += report.problems(allow_errors=True)
        for text in report.errors:
            if not DOCUMENTED_ERRORS.match(text):
                result.problems.append(f"an error that is not documented: {text}")
        # Half of the pause, for a busy machine.
        if report.last_error_at > healed_at + 1:
            result.problems.append(f"errors {report.last_error_at - healed_at:.1f} s after the cluster was well")

    # Faults. Each returns what it did it to, and leaves behind a cluster that heals by itself.

    def fault_migrate(self):
        """Some slots move, one after another, key by key."""
        moved = []
        for _ in range(self._random.randint(1, 10)):
            slot, _, target = self.cluster.migrate_random_slot(self._random, pause_s=0.001)
            self.cluster.wait_until_all_know(target)
            moved.append(slot)
        return f"slots {moved}"

    def fault_failover(self):
        """A replica takes over as planned: nothing is lost."""
        replica = self._random_replica()
        return self._fail_over(replica, None)

    def fault_failover_force(self):
        """A replica takes over without asking its primary."""
        replica = self._random_replica()
        return self._fail_over(replica, "FORCE")

    def fault_kill(self):
        """SIGKILL; a primary's replica takes over, and the process comes back."""
        victim = self._random.choice(self.cluster.running())
        had_slots = victim in self.cluster.primaries()
        can_fail_over = had_slots and self.cluster.replicas(victim)
        self.cluster.kill(victim)
        if can_fail_over:
            self.cluster.wait_for_promotion(victim)
        else:
            time.sleep(self._random.uniform(0, 0.5))
        self.cluster.restart(victim)
        self.cluster.wait_until_ok(60)
        return f"{victim}{' (primary)' if had_slots else ''}"

    def fault_pause(self):
        """SIGSTOP, for shorter or longer than it takes until a replica takes over; then SIGCONT."""
        victim = self._random.choice(self.cluster.running())
        pause_s = self._random.uniform(0.1, 4)
        self.cluster.pause(victim)
        time.sleep(pause_s)
        self.cluster.resume(victim)
        self.cluster.wait_until_ok(60)
        return f"{victim} for {pause_s:.1f} s"

    def fault_kill_connections(self):
        """CLIENT KILL of everybody at one node, rcproxy among them."""
        node = self._random.choice(self.cluster.running())
        killed = node.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        return f"{node}: {killed}"

    def _random_replica(self):
        self.cluster.wait_until_ok(60)
        replicas = [node for node in self.cluster.replicas() if self.cluster.may_stand_for_election(node)]
        return self._random.choice(replicas) if replicas else None

    def _fail_over(self, replica, mode):
        if replica is None:
            return "nobody: there is no replica that may"
        try:
            self.cluster.failover(replica, mode)
        except RespError as error:
            return f"{replica} refused: {error}"
        return f"to {replica}"
