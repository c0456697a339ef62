"""A real Redis Cluster on loopback: starts it, breaks it and repairs it.

    with Cluster(primaries=3, replicas_per_primary=1) as cluster:
        cluster.addresses()                     # ["127.0.0.1:17001", ...]
        cluster.kill(cluster.primaries()[0])    # and wait_until_ok() for the replica's promotion

Each node is a redis-server process in a folder of its own, without persistence unless options say so. The
nodes are joined by CLUSTER MEET, ADDSLOTSRANGE and REPLICATE directly, which is done in about three seconds
(a new primary refuses requests for the first two). Migration of slots is in cluster_migration.py.

Methods may be called from any thread, but only one thread at a time may change the cluster.
"""

import os
import shutil
import signal
import tempfile
import time

from testing import processes
from testing.cluster_migration import SlotMigration
from testing.resp_client import Disconnected, RespClient, RespError

SLOT_COUNT = 16384


class ClusterError(Exception):
    """The cluster did not do what was asked, in the time it had."""


class Node:
    """One redis-server. `id` is its name in the cluster, which survives restart(). `login`: a user and a password."""

    def __init__(self, port, bus_port, directory, login=None):
        self.host = "127.0.0.1"
        self.port = port
        self.bus_port = bus_port
        self.directory = directory
        self.process = None
        self.id = None
        self.paused = False
        self.login = login
        self._client = None

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def __repr__(self):
        return f"Node({self.address})"

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def log_tail(self, lines=15):
        try:
            with open(os.path.join(self.directory, "redis.log"), errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except OSError:
            return ""

    def describe(self):
        """For whoever reads why a test failed: what the node thinks of the cluster."""
        if not self.is_running() or self.paused:
            return "(does not run)\n"
        try:
            info = self.cluster_info()
            state = ", ".join(f"{name}: {info[name]}" for name in ("cluster_state", "cluster_slots_assigned"))
            return f"{state}\n{self.command('CLUSTER', 'NODES').decode()}"
        except (OSError, Disconnected, RespError) as error:
            return f"({error})\n"

    def command(self, *arguments):
        """Over a connection that is kept; errors are raised. Not for use by two threads at a time."""
        for attempt in (1, 2):
            kept = self._client is not None
            try:
                if self._client is None:
                    self._client = RespClient(self.address, timeout_s=20, login=self.login)
                return self._client.ok(*arguments)
            except (OSError, Disconnected):
                self.disconnect()
                if attempt == 2 or not kept:
                    raise

    def pipeline(self, commands):
        """Like command(), for many at once; errors are returned and not raised."""
        self.command("PING")
        return self._client.pipeline(commands)

    def disconnect(self):
        if self._client is not None:
            self._client.close()
            self._client = None

    def info(self, section, field):
        text = self.command("INFO", section).decode()
        for line in text.split("\r\n"):
            name, _, value = line.partition(":")
            if name == field:
                return value
        return None

    def cluster_info(self):
        lines = self.command("CLUSTER", "INFO").decode().split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def config_epoch_of(self, other):
        """As this node believes."""
        lines = self.command("CLUSTER", "NODES").decode().splitlines()
        return next(line.split(" ")[6] for line in lines if line.startswith(other.id))

    def slots_of(self, other):
        """As this node believes, in order; none of a node that it does not know."""
        slots = []
        for part in self.cluster_nodes().get(other.id, {"slots": []})["slots"]:
            if not part.startswith("["):
                first, _, last = part.partition("-")
                slots.extend(range(int(first), int(last or first) + 1))
        return slots

    def cluster_nodes(self):
        """What this node thinks of all: id -> {"flags": set, "primary": id or None, "link": str, "slots": [str]}."""
        view = {}
        for line in self.command("CLUSTER", "NODES").decode().splitlines():
            fields = line.split(" ")
            view[fields[0]] = {
                "flags": set(fields[2].split(",")),
                "primary": None if fields[3] == "-" else fields[3],
                "link": fields[7],
                "slots": fields[8:],
            }
        return view


class Cluster(SlotMigration):
    """See the head of this file. `options` are redis.conf directives; `ports` are tried before random ones; `login` is
    a user and a password for the nodes, of which options have to tell them."""

    def __init__(
        self,
        primaries=3,
        replicas_per_primary=1,
        node_timeout_ms=1500,
        options=None,
        directory=None,
        ports=None,
        login=None,
    ):
        self.nodes = []
        self._primary_count = primaries
        self._replicas_per_primary = replicas_per_primary
        self._options = {
            "bind": "127.0.0.1",
            "cluster-enabled": "yes",
            "cluster-node-timeout": str(node_timeout_ms),
            "cluster-config-file": "nodes.conf",
            "cluster-replica-validity-factor": "0",
            # A primary that gave all its slots away stays one, and may get slots again.
            "cluster-allow-replica-migration": "no",
            "repl-diskless-sync-delay": "0",
            "save": "",
            "appendonly": "no",
            "protected-mode": "no",
            "logfile": "redis.log",
            **(options or {}),
        }
        self._elected_at = {}
        self._node_timeout_s = node_timeout_ms / 1000
        self._paused_at = 0.0
        self._ports = list(ports or [])
        self._login = login
        self._owns_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="rcproxy-cluster-")
        os.makedirs(self.directory, exist_ok=True)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    # Life.

    def start(self):
        count = self._primary_count * (1 + self._replicas_per_primary)
        for _ in range(count):
            self._start_new_node()
        primaries = self.nodes[: self._primary_count]
        for index, node in enumerate(primaries):
            first = SLOT_COUNT * index // len(primaries)
            last = SLOT_COUNT * (index + 1) // len(primaries) - 1
            node.command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for index, node in enumerate(self.nodes):
            node.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
            for other in self.nodes[:index]:
                node.command("CLUSTER", "MEET", other.host, other.port, other.bus_port)
        self._wait(self._all_know_all, 20, "the nodes to meet")
        for index, replica in enumerate(self.nodes[self._primary_count :]):
            replica.command("CLUSTER", "REPLICATE", primaries[index % len(primaries)].id)
        self.wait_until_ok()

    def stop(self):
        """Ends every process this object started; its folder goes too, unless the caller chose it."""
        for node in self.nodes:
            node.disconnect()
            if node.paused:
                self.resume(node)
            if node.is_running():
                node.process.kill()
        for node in self.nodes:
            if node.process is not None:
                node.process.wait()
        if self._owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    # What there is.

    def addresses(self):
        return [node.address for node in self.nodes]

    def running(self):
        return [node for node in self.nodes if node.is_running() and not node.paused]

    def view(self):
        """The cluster as one running node sees it, see Node.cluster_nodes()."""
        return self.running()[0].cluster_nodes()

    def node_by_id(self, node_id):
        return next(node for node in self.nodes if node.id == node_id)

    def primaries(self):
        """Running primaries that own slots."""
        return [node for node in self.running() if self._is_primary(node) and self.slots_of(node)]

    def replicas(self, primary=None):
        return [
            node
            for node in self.running()
            if (own := node.cluster_nodes()[node.id])["primary"]
            and (primary is None or own["primary"] == primary.id)
        ]

    def primary_of(self, replica):
        """As the replica believes."""
        return self.node_by_id(replica.cluster_nodes()[replica.id]["primary"])

    def slots_of(self, node):
        """The slots that the node itself thinks it owns, in order."""
        return node.slots_of(node)

    # Trouble.

    def kill(self, node):
        """As a crash: SIGKILL."""
        node.disconnect()
        node.process.kill()
        node.process.wait()

    def pause(self, node):
        """As a hung machine: connections stay open and nothing answers."""
        node.paused = True
        self._paused_at = time.monotonic()
        node.disconnect()
        os.kill(node.process.pid, signal.SIGSTOP)

    def resume(self, node):
        os.kill(node.process.pid, signal.SIGCONT)
        node.paused = False
        if time.monotonic() > self._paused_at + self._node_timeout_s:
            self._note_elected(self.nodes)  # It is not known who was, if anybody.

    def restart(self, node):
        """Starts a killed node again, on the same port and with what its folder still holds."""
        if node.is_running():
            raise ClusterError(f"{node} runs already")
        self._launch(node)
        self._await_ping(node)

    def begin_failover(self, replica, mode=None):
        """Has `replica` become the primary soon: planned by default, or with mode "FORCE" or "TAKEOVER"."""
        if mode != "TAKEOVER":
            while not self.may_stand_for_election(replica):
                time.sleep(0.1)
            # Who does not take it for a replica of that primary does not answer it.
            self._wait(self._all_agree_on_roles, 20, "all to agree who is whose replica")
            self._note_elected([replica])
        replica.command("CLUSTER", "FAILOVER", *([mode] if mode else []))

    def failover(self, replica, mode=None):
        """The same, and waits until it is, and until all know after an election."""
        self.begin_failover(replica, mode)
        self._wait(lambda: self._is_primary(replica), 20, f"{replica} to become primary")
        if mode != "TAKEOVER":
            self._note_elected([replica])
            self._wait(self._all_agree_on_roles, 20, f"all to hear that {replica} is the primary")

    def may_stand_for_election(self, node):
        """Not soon after it has won one: a server counts the votes of then once more (redis 7.0 forgets them after
        auth_retry_time), becomes primary without a new epoch, is demoted at once, and the other one goes on pausing
        its clients, for a planned failover that nobody will end, up to 10 s."""
        remembered_s = 2 * max(2, 2 * self._node_timeout_s) + 0.2
        return time.monotonic() > self._elected_at.get(node.id, -1e9) + remembered_s

    def _note_elected(self, nodes):
        for node in nodes:
            self._elected_at[node.id] = time.monotonic()

    # Membership.

    def add_node(self, replica_of=None):
        """A new node that has joined and owns nothing; a replica if `replica_of` is given."""
        known = self.running()
        node = self._start_new_node()
        for other in known:
            node.command("CLUSTER", "MEET", other.host, other.port, other.bus_port)
        self._wait(self._all_know_all, 20, f"{node} to join")
        if replica_of is not None:
            node.command("CLUSTER", "REPLICATE", replica_of.id)
            # A primary takes no part in the failover to a replica that it has not heard of.
            self._wait(lambda: self._all_take_for_replica(node, replica_of), 20, f"{node} to be known as a replica")
        self.wait_until_ok()
        return node

    def remove_node(self, node):
        """Ends a node that owns no slots and makes all others forget it."""
        if node.is_running() and self._is_primary(node) and self.slots_of(node):
            raise ClusterError(f"{node} still owns slots")
        # Who forgets an owner has nobody for its slots.
        self._wait(lambda: not any(other.slots_of(node) for other in self.running()), 20, f"{node} to own no slots")
        if node.is_running():
            self.kill(node)
        self.nodes.remove(node)
        for other in self.running():
            try:
                other.command("CLUSTER", "FORGET", node.id)
            except RespError as error:
                if "Unknown node" not in error.text:
                    raise
        shutil.rmtree(node.directory, ignore_errors=True)

    # Waiting.

    def wait_until_ok(self, timeout_s=30):
        """Until every running node says ok, all agree who owns what, and each replica is in step."""
        self._wait(self.is_ok, timeout_s, "the cluster to be ok")

    def wait_until_replicated(self, primary):
        """Until its replicas have what it has now."""
        offset = int(primary.info("replication", "master_repl_offset"))
        for replica in self.replicas(primary):
            self._wait(
                lambda replica=replica: int(replica.info("replication", "slave_repl_offset") or 0) >= offset,
                20, f"{replica} to catch up",
            )

    def wait_for_promotion(self, lost, timeout_s=60):
        """Until all slots are served without the primary `lost`."""

        def promoted():
            view = self.view()
            owners = [entry for node_id, entry in view.items() if node_id != lost.id and "master" in entry["flags"]]
            return self._slot_count(owners) == SLOT_COUNT and self.is_ok()

        self._wait(promoted, timeout_s, f"a replica of {lost} to be promoted")
        self._note_elected(self.primaries())

    def is_ok(self):
        running = self.running()
        views = [node.cluster_nodes() for node in running]
        owners = [
            sorted((node_id, tuple(s for s in entry["slots"] if not s.startswith("[")))
                   for node_id, entry in view.items() if entry["slots"])
            for view in views
        ]
        if any(other != owners[0] for other in owners) or not self._all_agree_on_roles():
            return False
        for node, view in zip(running, views):
            if node.cluster_info()["cluster_state"] != "ok":
                return False
            if not all(self._is_healthy(view, other) for other in running):
                return False
            if view[node.id]["primary"] and node.info("replication", "master_link_status") != "up":
                return False
        return True

    # Parts.

    @staticmethod
    def _slot_count(entries):
        ranges = [part.partition("-") for entry in entries for part in entry["slots"] if not part.startswith("[")]
        return sum(int(last or first) - int(first) + 1 for first, _, last in ranges)

    @staticmethod
    def _is_healthy(view, node):
        entry = view.get(node.id)
        return (
            entry is not None
            and not entry["flags"] & {"fail", "fail?", "handshake", "noaddr"}
            and entry["link"] == "connected"
        )

    @staticmethod
    def _is_primary(node):
        return "master" in node.cluster_nodes()[node.id]["flags"]

    def _all_know_all(self):
        running = self.running()
        return all(self._is_healthy(node.cluster_nodes(), other) for node in running for other in running)

    def _all_agree_on_roles(self):
        running = self.running()
        views = [node.cluster_nodes() for node in running]
        unknown = {"primary": ""}
        roles = [[view.get(node.id, unknown)["primary"] for node in running] for view in views]
        return all(other == roles[0] for other in roles)

    def _all_take_for_replica(self, node, primary):
        return all(other.cluster_nodes()[node.id]["primary"] == primary.id for other in self.running())

    def _wait(self, condition, timeout_s, what):
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                if condition():
                    return
                problem = ""
            except (OSError, Disconnected, RespError) as error:
                problem = f" ({error})"
            if time.monotonic() > deadline:
                nodes = "".join(f"--- {node}\n{node.describe()}{node.log_tail()}" for node in self.nodes)
                raise ClusterError(f"waited {timeout_s} s in vain for {what}{problem}\n{nodes}")
            time.sleep(0.05)

    def _start_new_node(self):
        for _ in range(5):
            port = self._ports.pop(0) if self._ports else processes.free_port()
            directory = os.path.join(self.directory, str(port))
            shutil.rmtree(directory, ignore_errors=True)
            os.makedirs(directory)
            node = Node(port, processes.free_port(), directory, self._login)
            self._launch(node)
            try:
                self._await_ping(node)
            except ClusterError:
                # Somebody else took one of the two ports between our look and the server's bind.
                if "in use" in node.log_tail() or "bind" in node.log_tail():
                    continue
                raise
            node.id = node.command("CLUSTER", "MYID").decode()
            self.nodes.append(node)
            return node
        raise ClusterError("could not find free ports for a redis-server")

    def _launch(self, node):
        arguments = ["redis-server", "--port", node.port, "--cluster-port", node.bus_port, "--dir", node.directory]
        for name, value in self._options.items():
            arguments += ["--" + name, value]
        with open(os.path.join(node.directory, "stderr"), "ab") as stderr:
            node.process = processes.spawn(arguments, stdout=stderr, stderr=stderr)

    def _await_ping(self, node):
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                if node.process.poll() is not None:
                    raise ClusterError(f"{node} ended with code {node.process.returncode}\n{node.log_tail()}")
                if node.command("PING") == "PONG":
                    return
            except (OSError, Disconnected, RespError):
                time.sleep(0.02)
        node.process.kill()
        raise ClusterError(f"{node} does not answer PING\n{node.log_tail()}")
