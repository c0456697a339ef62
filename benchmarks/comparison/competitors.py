"""What is compared: how to start each proxy, and where to find it.

A proxy that cannot speak Redis Cluster has backend "plain": its nodes are plain servers that hold
every key. Placeholders in commands and configurations: $binary $port $stats_port $workers
$directory $config $clients_max, $seed (the first node), $seeds (all, comma-separated), $nodes (all,
each written as `node` with $address, joined by `join`).
"""

import dataclasses
import os
import shutil
import string
import tempfile
import time

from benchmarks.comparison import usage
from testing import processes
from testing.resp_client import Disconnected, RespClient, RespError


@dataclasses.dataclass(frozen=True)
class Competitor:
    name: str
    binary: str = ""
    command: tuple = ()
    config: str = ""
    backend: str = "cluster"
    node: str = "$address"
    join: str = "\n"
    skipped: tuple = ()  # Workloads that it cannot do.
    descriptors_per_client: int = 1
    note: str = ""

    @property
    def is_direct(self):
        return not self.command


_RCPROXY_COMMAND = ("$binary", "--addr=127.0.0.1:$port", "--startup_nodes=$seeds",
                    "--workers=$workers", "--log_dir=$directory")

_HAPROXY_CONFIG = """\
global
  nbthread $workers
  maxconn $clients_max
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen redis
  bind 127.0.0.1:$port
  server node $seed
"""

_TWEMPROXY_CONFIG = """\
pool:
  listen: 127.0.0.1:$port
  redis: true
  hash: crc16
  distribution: modula
  preconnect: true
  server_connections: 1
  servers:
$nodes
"""

_PREDIXY_CONFIG = """\
Name benchmark
Bind 127.0.0.1:$port
WorkerThreads $workers
ClientTimeout 0
Log $directory/predixy.log
LogInfoSample 10000
Authority {
    Auth {
        Mode admin
    }
}
ClusterServerPool {
    Servers {
$nodes
    }
}
"""

_KNOWN = [
    Competitor("direct", backend="plain", note="no proxy: the load generator talks to one server"),
    Competitor("haproxy", "haproxy", ("$binary", "-db", "-f", "$config"), _HAPROXY_CONFIG,
               backend="plain", descriptors_per_client=2,
               note="TCP only, one server: the price of a hop without any parsing"),
    Competitor("twemproxy", "nutcracker",
               ("$binary", "-c", "$config", "-m", "16384", "-s", "$stats_port", "-o",
                "$directory/nutcracker.log", "-v", "4"), _TWEMPROXY_CONFIG,
               backend="plain", node="   - $address:1",
               note="shards over plain servers, no Redis Cluster"),
    Competitor("rcproxy", "rcproxy", _RCPROXY_COMMAND),
    Competitor("predixy", "predixy", ("$binary", "$config"), _PREDIXY_CONFIG,
               node="        + $address"),
    Competitor("corvus", "corvus", ("$binary", "$config"),
               "bind $port\nnode $seeds\nthread $workers\nloglevel error\nsyslog 0\n"),
    Competitor("redis-cluster-proxy", "redis-cluster-proxy",
               ("$binary", "--port", "$port", "--threads", "$workers", "--bind", "127.0.0.1",
                "--log-level", "error", "--enable-cross-slot", "$seed")),
]
KNOWN = {competitor.name: competitor for competitor in _KNOWN}


def parse_proxy_argument(text):
    """NAME=PATH, or NAME=PATH:TEMPLATE for a proxy that is started with one configuration file.

    A known name keeps its own template; any other proxy without one is started with rcproxy's
    flags, which is how two builds of it are compared.
    """
    name, equals, rest = text.partition("=")
    path, _, template = rest.partition(":")
    if not (name and equals and path):
        raise ValueError(f"{text!r} is not NAME=PATH or NAME=PATH:TEMPLATE")
    path = os.path.abspath(path)
    if template:
        with open(template, encoding="utf-8") as file:
            return Competitor(name, path, ("$binary", "$config"), file.read())
    if name in KNOWN:
        return dataclasses.replace(KNOWN[name], binary=path)
    return Competitor(name, path, _RCPROXY_COMMAND)


def render(competitor, values, addresses):
    """The command line and the configuration text for one start."""
    nodes = competitor.join.join(
        string.Template(competitor.node).substitute(address=address) for address in addresses)
    values = {**values, "seed": addresses[0], "seeds": ",".join(addresses), "nodes": nodes}
    argv = [string.Template(part).substitute(values) for part in competitor.command]
    return argv, string.Template(competitor.config).substitute(values)


def clients_limit(competitor):
    """How many clients the limit of open files leaves room for."""
    return usage.raise_descriptor_limit() // competitor.descriptors_per_client - 100


class Running:
    """One started competitor. Direct access has no process: pid is None."""

    def __init__(self, competitor, node_ports, directory, workers=1, cpu=None):
        self.competitor = competitor
        self.backend = competitor.backend
        self.process = None
        if competitor.is_direct:
            self.port = node_ports[0]
            return
        self.port, stats_port = processes.free_port(), processes.free_port()
        own = tempfile.mkdtemp(prefix=competitor.name + "-", dir=directory)
        self._log = os.path.join(own, "output")
        clients_max = min(11000, clients_limit(competitor))
        values = {"binary": shutil.which(competitor.binary), "port": self.port, "directory": own,
                  "stats_port": stats_port, "workers": workers, "clients_max": clients_max,
                  "config": os.path.join(own, "config")}
        addresses = [f"{usage.HOST}:{port}" for port in node_ports]
        argv, config = render(competitor, values, addresses)
        with open(values["config"], "w", encoding="utf-8") as file:
            file.write(config)
        self.process = usage.spawn(argv, cpu, self._log, cwd=own)

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def wait_until_ready(self, timeout_s=10):
        """Ready: keys of many slots can be read."""
        if self.process is None:
            return
        try:
            usage.wait_for_port(self.port, self.process)
        except RuntimeError as error:
            raise RuntimeError(f"{error}; its output ends: {self._log_tail()}") from None
        deadline = time.monotonic() + timeout_s
        last = "no answer"
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with RespClient(f"{usage.HOST}:{self.port}", timeout_s=2) as client:
                    replies = [client.command("GET", f"ready:{i}") for i in range(16)]
                errors = [reply for reply in replies if isinstance(reply, RespError)]
                if not errors:
                    return
                last = str(errors[0])
            except (OSError, ValueError, Disconnected) as error:
                last = str(error)
            time.sleep(0.1)
        raise RuntimeError(f"does not answer GET ({last}); its output ends: {self._log_tail()}")

    def _log_tail(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()[-300:].strip()

    def stop(self):
        if self.process:
            processes.end(self.process)


def select(names, extra, rcproxy):
    """The competitors to run, and those without a binary."""
    table = dict(KNOWN)
    if rcproxy:
        table["rcproxy"] = dataclasses.replace(table["rcproxy"], binary=os.path.abspath(rcproxy))
    for competitor in extra:
        table[competitor.name] = competitor
    unknown = [name for name in names or () if name not in table]
    if unknown:
        raise ValueError(f"unknown proxy {unknown[0]}; known: {', '.join(table)}")
    chosen = [table[name] for name in names or table]
    usable = [c for c in chosen if c.is_direct or shutil.which(c.binary)]
    return usable, [c.name for c in chosen if c not in usable]
