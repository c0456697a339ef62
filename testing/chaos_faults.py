"""What goes wrong in clusters, done to one on purpose, at random from a seed, while checking load runs through rcproxy.

    with Cluster(3, 1, node_timeout_ms=1000) as cluster, RcproxyProcess(cluster.addresses()) as proxy:
        result = Chaos(cluster, proxy.address, seed=1).run(seconds=30)
        assert not result.problems

No reply may be wrong or somebody else's; nothing may be executed twice; no client may be disconnected; errors are those
that rcproxy documents, and once the cluster says that it is well there are none. Since replication is asynchronous,
a write that was acknowledged may be missing where a primary was lost: one to its slots, and from about then.
"""

import contextlib
import random
import re
import time

from testing.chaos_excuses import Excuses
from testing.cluster import Cluster, ClusterError, Node
from testing.harness_load import Load
from testing.resp_client import RespClient, RespError

# What is left of an rcproxy's work when one client asks for it, and there is no other.
_AT_REST = {"clients_connected": 1, "requests_in_flight": 1, "requests_held": 0, "own_connections": 0}

# What clients may see while a part of the cluster does not serve.
DOCUMENTED_ERRORS = re.compile(r"CLUSTERDOWN |LOADING |TRYAGAIN |ERR upstream ")


def what_is_left(proxy_address, patience_s=10):
    """Problems: everything that requests took has to be given back soon after the last client but us has gone."""
    with RespClient(proxy_address) as client:
        deadline = time.monotonic() + patience_s
        while (left := _work_of(client)) != _AT_REST:
            if time.monotonic() > deadline:
                return [f"rcproxy is not at rest {patience_s} s after the load has ended: {left}"]
            time.sleep(0.1)
    return []


def _work_of(client):
    lines = client.ok("INFO", "proxy").decode().splitlines()
    told = dict(line.removeprefix("rcproxy_").split(":", 1) for line in lines if ":" in line)
    return {name: int(told[name]) for name in _AT_REST}


class RemoteNode(Node):
    """A node that somebody else has started: it can be asked, but not killed."""

    def __init__(self, host, port, node_id, login):
        super().__init__(port, 0, None, login)
        self.host = host
        self.id = node_id

    def is_running(self):
        return True

    def log_tail(self, lines=15):
        return ""


class RemoteCluster(Cluster):
    """A cluster that runs already, found from one of its nodes; it is left as it is. `login`: a user and a password."""

    def __init__(self, address, login=None):
        host, _, port = address.rpartition(":")
        first = RemoteNode(host, int(port), None, login)
        self.nodes = [self._node(*entry) for entry in self._addresses(first)]
        self._node_timeout_s = int(first.command("CONFIG", "GET", "cluster-node-timeout")[1]) / 1000
        first.disconnect()
        self._elected_at = {}

    @staticmethod
    def _addresses(node):
        for line in node.command("CLUSTER", "NODES").decode().splitlines():
            fields = line.split(" ")
            if "fail" not in fields[2].split(",") and "noaddr" not in fields[2]:
                yield fields[0], fields[1].split("@")[0], node

    @staticmethod
    def _node(node_id, address, asked):
        host, _, port = address.rpartition(":")
        return RemoteNode(host or asked.host, int(port), node_id, asked.login)

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
    """Faults are methods named fault_*; those of NEEDS_PROCESSES need a cluster of our own, those of NEEDS_RELAY a
    relay before it. `login`: a user and a password for rcproxy."""

    NEEDS_PROCESSES = ("kill", "pause", "replace")
    NEEDS_RELAY = ("network_delay", "network_loss", "network_reset", "network_stall")

    def __init__(self, cluster, proxy_address, seed, faults=None, say=print, relay=None, login=None, clients=4):
        self.cluster = cluster
        self._seed = seed
        self._random = random.Random(seed)
        self._say = say
        self._relay = relay
        self._originals = list(cluster.nodes)
        self._faults = list(faults or self.known_faults(not isinstance(cluster, RemoteCluster), relay is not None))
        self._load = Load(proxy_address, seed=seed, prefix=f"chaos{seed}", login=login, threads=clients)
        self._excuses = Excuses(cluster, self._load.windows)

    @classmethod
    def known_faults(cls, own_processes=True, has_relay=True):
        names = sorted(name[len("fault_") :] for name in dir(cls) if name.startswith("fault_"))
        impossible = (() if own_processes else cls.NEEDS_PROCESSES) + (() if has_relay else cls.NEEDS_RELAY)
        return [name for name in names if name not in impossible]

    def originals(self):
        """Of the nodes that there were at the start, those that are members still."""
        return [node for node in self._originals if node in self.cluster.nodes]

    def run(self, seconds, is_enough=lambda: False):
        """For so long, or until `is_enough()`."""
        result = Result()
        self._load.start()
        began = time.monotonic()
        try:
            while time.monotonic() - began < seconds and not is_enough():
                self._do_one(result, began)
            self._wait_until_well()
        except (ClusterError, TimeoutError) as error:
            result.problems.append(f"the cluster itself did not heal: {error}")
        healed_at = time.monotonic()
        time.sleep(2)
        if not result.problems:
            self._excuse_elections()
        result.report = self._load.stop()
        self._judge(result, healed_at)
        return result

    def _do_one(self, result, began):
        name = self._random.choice(self._faults)
        what = getattr(self, "fault_" + name)()
        result.faults.append(f"{time.monotonic() - began:6.2f} s {name} {what}")
        self._say(result.faults[-1])
        time.sleep(self._random.uniform(0, 0.5))
        self._excuse_elections()

    def _excuse_elections(self):
        for node in self._excuses.note_elections():
            self._say(f"  {node} was elected although nothing was done to its primary")

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
            self.cluster.wait_until_replicated(target)
            moved.append(slot)
        return f"slots {moved}"

    def fault_failover(self):
        """A replica takes over as planned: nothing is lost."""
        replica = self._random_replica()
        return self._fail_over(replica, None)

    def fault_failover_force(self):
        """A replica takes over without asking its primary."""
        replica = self._random_replica()
        if replica is None:
            return self._fail_over(None, "FORCE")
        with self._excuses.fault_at(self.cluster.primary_of(replica)):
            return self._fail_over(replica, "FORCE")

    def fault_kill(self):
        """SIGKILL; a primary's replica takes over, and the process comes back."""
        victim = self._random.choice(self.cluster.running())
        if victim not in self.cluster.primaries():
            self.cluster.kill(victim)
            self._restart_late(victim)
            return f"{victim}"
        with self._excuses.fault_at(victim) as window:
            if self.cluster.replicas(victim):
                self.cluster.kill(victim)
                self.cluster.wait_for_promotion(victim)
            else:
                window.since = 0  # It comes back with nothing.
                self.cluster.kill(victim)
                self._restart_late(victim)
        if not victim.is_running():
            self._restart_late(victim)
        return f"{victim} (primary)"

    def _restart_late(self, victim):
        time.sleep(self._random.uniform(0, 0.5))
        self.cluster.restart(victim)
        self.cluster.wait_until_ok(60)

    def fault_pause(self):
        """SIGSTOP, for shorter or longer than it takes until a replica takes over; then SIGCONT."""
        victim = self._random.choice(self.cluster.running())
        pause_s = self._random.uniform(0.1, 4)
        is_primary = victim in self.cluster.primaries()
        with self._excuses.fault_at(victim) if is_primary else contextlib.nullcontext():
            self.cluster.pause(victim)
            time.sleep(pause_s)
            self.cluster.resume(victim)
            self.cluster.wait_until_ok(60)
        return f"{victim}{' (primary)' if is_primary else ''} for {pause_s:.1f} s"

    def fault_kill_connections(self):
        """CLIENT KILL of everybody at one node, rcproxy among them."""
        node = self._random.choice(self.cluster.running())
        killed = node.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        return f"{node}: {killed}"

    def fault_replace(self):
        """A new node joins and takes over from an old one, which leaves; those of the start go first."""
        old = self._random.choice(self.originals() or self.cluster.running())
        view = self.cluster.view()
        primary_id = view[old.id]["primary"]
        if primary_id is not None:
            new = self.cluster.add_node(replica_of=self.cluster.node_by_id(primary_id))
            how = "a replica"
        elif self._random.random() < 0.5:
            new = self.cluster.add_node(replica_of=old)
            self._excuses.expect([new])
            self.cluster.failover(new)
            how = "its replica took over"
        else:
            new = self.cluster.add_node()
            self._excuses.expect([new])
            self.cluster.move_all_slots(old, [new])
            for replica in self.cluster.replicas(old):
                replica.command("CLUSTER", "REPLICATE", new.id)
            how = "its slots moved"
        self.cluster.wait_until_ok(60)
        self.cluster.remove_node(old)
        self.cluster.wait_until_ok(60)
        return f"{old} by {new}: {how}; {len(self.originals())} of the first nodes are left"

    # Of the network between rcproxy and a node; the nodes reach one another, and nobody takes over.

    def fault_network_delay(self):
        """Everything comes late, and not equally late."""
        delay_ms, jitter_ms = self._random.randint(1, 100), self._random.randint(0, 50)
        return self._disturb(2, delay_ms=delay_ms, jitter_ms=jitter_ms)

    def fault_network_loss(self):
        """Pieces are lost and repeated."""
        return self._disturb(2, loss=self._random.uniform(0.01, 0.3))

    def fault_network_stall(self):
        """A pulled cable: nothing arrives, and nobody is told."""
        return self._disturb(4, is_stalled=True)

    def fault_network_reset(self):
        """All connections are reset; new ones are, too, for a while or not."""
        node = self._relayed_node()
        if node is None:
            return "nobody: no node that the relay leads to is left"
        if self._random.random() < 0.5:
            self._relay.reset(node.address)
            return f"{node}, once"
        return self._disturb(2, node, is_refused=True)

    def _relayed_node(self):
        nodes = [node for node in self.cluster.running() if self._relay.leads_to(node.address)]
        return self._random.choice(nodes) if nodes else None

    def _disturb(self, longest_s, node=None, **conditions):
        node = node or self._relayed_node()
        if node is None:
            return "nobody: no node that the relay leads to is left"
        duration_s = self._random.uniform(0.1, longest_s)
        self._relay.set(node.address, **conditions)
        time.sleep(duration_s)
        self._relay.set(node.address)
        return f"{node} for {duration_s:.1f} s: {conditions}"

    def _random_replica(self):
        self.cluster.wait_until_ok(60)
        replicas = [node for node in self.cluster.replicas() if self.cluster.may_stand_for_election(node)]
        return self._random.choice(replicas) if replicas else None

    def _fail_over(self, replica, mode):
        if replica is None:
            return "nobody: there is no replica that may"
        self._excuses.expect([replica])
        try:
            self.cluster.failover(replica, mode)
        except RespError as error:
            return f"{replica} refused: {error}"
        return f"to {replica}"
