#!/usr/bin/env python3
"""Moves random slots of a running Redis Cluster to other primaries, one after the other, with their keys.

    testing/cluster_up --primaries=3 &
    benchmarks/migrate_slots.py 127.0.0.1:7001 --seconds 30
    benchmarks/migrate_slots.py 127.0.0.1:7001 --count 200 --load_addr 127.0.0.1:7700

With --load_addr, //benchmarks:load drives that proxy meanwhile and checks every reply; a wrong one makes the
exit code 2. For clusters made for testing: addresses other than loopback are refused without --yes. No
passwords, no TLS.
"""

import argparse
import ipaddress
import os
import random
import subprocess
import sys
import time

sys.dont_write_bytecode = True
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, _ROOT)

from testing.cluster import Node  # noqa: E402
from testing.cluster_migration import SlotMigration  # noqa: E402
from testing.resp_client import Disconnected, RespError  # noqa: E402


class ExistingCluster(SlotMigration):
    """A cluster that somebody else started: it is only asked and told to move slots."""

    def __init__(self, host, port):
        first = _node(host, port)
        self.nodes = []
        for line in first.command("CLUSTER", "NODES").decode().splitlines():
            parsed = parse_node_line(line, host)
            if parsed is None:
                continue
            node_id, node_host, node_port = parsed
            node = _node(node_host, node_port)
            node.id = node_id
            self.nodes.append(node)
        first.disconnect()

    def running(self):
        return self.nodes

    def slots_of(self, node):
        return parse_slots(node.cluster_nodes()[node.id]["slots"])

    def primaries(self):
        return [node for node in self.nodes if self.slots_of(node)]


def _node(host, port):
    node = Node(port, bus_port=None, directory=None)
    node.host = host
    return node


def parse_node_line(line, asked_host):
    """(id, host, port) of a healthy primary in a line of CLUSTER NODES; None for any other line."""
    fields = line.split(" ")
    flags = set(fields[2].split(","))
    if "master" not in flags or flags & {"fail", "fail?", "handshake", "noaddr"}:
        return None
    host, _, port = fields[1].split("@")[0].split(",")[0].rpartition(":")
    # A node that has not been met yet does not know its own address.
    return fields[0], host or asked_host, int(port)


def parse_slots(parts):
    """The slots in the last fields of a line of CLUSTER NODES; moving ones are in brackets."""
    slots = []
    for part in parts:
        if not part.startswith("["):
            first, _, last = part.partition("-")
            slots.extend(range(int(first), int(last or first) + 1))
    return slots


def is_loopback(host):
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="HOST:PORT of any node")
    parser.add_argument("--count", type=int, help="stop after so many slots")
    parser.add_argument("--seconds", type=float, default=10, help="stop after so long")
    parser.add_argument("--pause_s", type=float, default=0, help="between two keys of a slot")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--load_addr", help="HOST:PORT of a proxy to drive meanwhile")
    parser.add_argument("--load", default=os.path.join(_ROOT, "bazel-bin/benchmarks/load"))
    parser.add_argument("--yes", action="store_true", help="also for nodes that are not on loopback")
    return parser.parse_args()


def migrate(cluster, arguments):
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    generator = random.Random(seed)
    deadline = time.monotonic() + arguments.seconds
    moved = 0
    while time.monotonic() < deadline and moved != arguments.count:
        slot, source, target = cluster.migrate_random_slot(generator, arguments.pause_s)
        moved += 1
        print(f"slot {slot}: {source.address} -> {target.address}", flush=True)
    print(f"{moved} slots moved")


def main():
    arguments = parse_arguments()
    host, _, port = arguments.address.rpartition(":")
    load = None
    try:
        cluster = ExistingCluster(host, int(port))
        strangers = [node.address for node in cluster.nodes if not is_loopback(node.host)]
        if strangers and not arguments.yes:
            sys.exit(f"migrate_slots: {strangers[0]} is not on loopback; --yes to move its slots anyway")
        if len(cluster.primaries()) < 2:
            sys.exit("migrate_slots: slots can only move between two primaries that have some")
        if arguments.load_addr:
            load = subprocess.Popen([arguments.load, f"--addr={arguments.load_addr}",
                                     f"--seconds={arguments.seconds}"])
        migrate(cluster, arguments)
    except (OSError, Disconnected, RespError, TimeoutError, ValueError) as error:
        sys.exit(f"migrate_slots: {error}")
    finally:
        code = load.wait() if load else 0
    sys.exit(code)


if __name__ == "__main__":
    main()
