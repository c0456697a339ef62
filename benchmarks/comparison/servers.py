"""The servers behind the proxies: a real cluster, and plain servers for proxies that know none."""

import os
import time

from benchmarks.comparison import usage
from testing import processes
from testing.cluster import SLOT_COUNT, Cluster
from testing.resp_client import RespClient, check, encode

_PRELOAD_BYTES = 4 << 20
_NODE_OPTIONS = {"maxclients": "12000", "loglevel": "warning"}


def _crc16_table():
    table = []
    for byte in range(256):
        value = byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
        table.append(value)
    return table


_CRC16 = _crc16_table()


def key_slot(key):
    """The slot of a key (bytes), by the hash tag rule of the cluster specification."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    crc = 0
    for byte in key:
        crc = (crc << 8 & 0xFFFF) ^ _CRC16[crc >> 8 ^ byte]
    return crc % SLOT_COUNT


class Servers:
    def __init__(self, directory, primaries=3, cpu=None):
        self._directory = directory
        self._cpu = cpu
        self._cluster = Cluster(primaries, 0, node_timeout_ms=5000, options=_NODE_OPTIONS,
                                directory=os.path.join(directory, "cluster"))
        self._plain_count = primaries
        self._plain = {}  # Port -> process.

    def __enter__(self):
        try:
            self._cluster.start()
            for node in self._cluster.nodes:
                usage.bind_to_cpu(node.process.pid, self._cpu)
            for _ in range(self._plain_count):
                self._start_plain(processes.free_port())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self._plain.values():
            processes.end(process)
        self._cluster.stop()

    def _start_plain(self, port):
        directory = os.path.join(self._directory, f"plain-{port}")
        os.makedirs(directory)
        options = {"port": port, "bind": usage.HOST, "dir": directory, "save": "",
                   "appendonly": "no", **_NODE_OPTIONS}
        argv = ["redis-server"]
        for name, value in options.items():
            argv += ["--" + name, str(value)]
        self._plain[port] = usage.spawn(argv, self._cpu, os.path.join(directory, "log"))
        usage.wait_for_port(port, self._plain[port])

    def ports(self, backend):
        if backend == "plain":
            return list(self._plain)
        return [node.port for node in self._cluster.nodes]

    def _port_of_slot(self):
        table = [0] * SLOT_COUNT
        for node in self._cluster.nodes:
            for slot in self._cluster.slots_of(node):
                table[slot] = node.port
        return table

    def preload(self, keys, value):
        """Writes all keys to the cluster and, since each proxy shards in its own way, to every
        plain server."""
        owner = self._port_of_slot()
        commands = {port: [] for port in self.ports("cluster") + self.ports("plain")}
        for key in keys:
            command = encode(b"SET", key, value)
            for port in [owner[key_slot(key)], *self._plain]:
                commands[port].append(command)
        for port, batch in commands.items():
            _send_all(port, batch)

    def sample(self, backend):
        if backend == "plain":
            pids = [process.pid for process in self._plain.values()]
        else:
            pids = [node.process.pid for node in self._cluster.nodes]
        total = usage.Sample()
        for pid in pids:
            total += usage.sample(pid)
        return total

    def counters(self, backend):
        """Commands, hits and error replies: they show that a run measured what it meant to."""
        wanted = ("total_commands_processed", "keyspace_hits", "keyspace_misses",
                  "total_error_replies")
        totals = dict.fromkeys(wanted, 0)
        for port in self.ports(backend):
            with RespClient(f"{usage.HOST}:{port}") as client:
                for line in client.ok("INFO", "stats").decode().splitlines():
                    name, _, number = line.partition(":")
                    if name in totals:
                        totals[name] += int(number)
        return totals


def _send_all(port, commands):
    if not commands:
        return
    step = max(1, min(2000, _PRELOAD_BYTES // len(commands[0])))
    with RespClient(f"{usage.HOST}:{port}", timeout_s=60) as client:
        for start in range(0, len(commands), step):
            batch = commands[start : start + step]
            client.send(b"".join(batch))
            for _ in batch:
                check(client.read_reply())


def wait_until_idle(sample, seconds=0.2, share=0.05, timeout_s=5.0):
    """Until `sample()` uses less than `share` of a CPU: work left over from the run before is not
    charged to the next one."""
    deadline = time.monotonic() + timeout_s
    before = sample()
    while time.monotonic() < deadline:
        time.sleep(seconds)
        after = sample()
        if usage.cpu_seconds(before, after)[0] < share * seconds:
            return
        before = after
