"""A bad network between rcproxy and the nodes of a cluster: what it carries comes late, in spurts, or not at all.

    with Relay(cluster.addresses()) as relay:
        RcproxyProcess(cluster.addresses(), {"node_addresses": relay.node_addresses()})
        relay.set(node.address, delay_ms=20, loss=0.05)   # Each piece 20 ms late; one in 20 waits for a repetition.
        relay.set(node.address, is_stalled=True)           # As a pulled cable: nothing arrives, nobody is told.
        relay.set(node.address, is_refused=True)           # Connections are reset, and no new ones accepted.
        relay.heal()

A process that forwards bytes, one port for each node. Bytes are never lost or reordered within a connection, as TCP
sees to that; what is lost comes later, and holds up what is behind it. When one side has closed, what was on its way to
the other is dropped, not delivered late.

With a `kernel` (testing/bad_network.py, in a namespace of its own) that does to the packets of these ports what it can
do, and the relay only the rest.
"""

import asyncio
import json
import os
import random
import socket
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from testing import processes  # noqa: E402
from testing.resp_client import Disconnected  # noqa: E402

_PIECE_BYTES = 64 << 10
_PIECES_HELD = 64  # Per direction of a connection; then its sender has to wait, as with a full window.
_REPETITION_S = 0.2  # Linux's shortest pause before it sends again.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Relay:
    """The process, and what is asked of it. One thread at a time."""

    def __init__(self, addresses, seed=1, kernel=None):
        self._addresses = list(addresses)
        self._seed = seed
        self._kernel_class = kernel
        self._kernel = None
        self._process = None
        self._control = None
        self._ports = {}

    def __enter__(self):
        self._process = processes.spawn(
            [sys.executable, os.path.abspath(__file__), str(self._seed), *self._addresses], stdout=subprocess.PIPE
        )
        try:
            places = json.loads(self._process.stdout.readline())
            self._ports = places["ports"]
            with socket.create_connection(("127.0.0.1", places["control"]), timeout=20) as control:
                self._control = control.makefile("rw")  # Keeps it open.
            if self._kernel_class is not None:
                self._kernel = self._kernel_class(self._ports.values()).__enter__()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._kernel is not None:
            self._kernel.__exit__()
        if self._control is not None:
            self._control.close()
        processes.end(self._process, grace_s=5)
        self._process.stdout.close()

    def node_addresses(self):
        """For rcproxy's --node_addresses."""
        return ",".join(f"{address}=127.0.0.1:{port}" for address, port in self._ports.items())

    def address_of(self, node_address):
        return f"127.0.0.1:{self._ports[node_address]}"

    def leads_to(self, node_address):
        return node_address in self._ports

    def set(self, node_address, **conditions):
        """What is not named becomes normal again."""
        by_kernel = {}
        if self._kernel is not None:
            by_kernel = {name: value for name, value in conditions.items() if name in self._kernel.CONDITIONS}
            self._kernel.set(self._ports[node_address], **by_kernel)
        by_itself = {name: value for name, value in conditions.items() if name not in by_kernel}
        self._ask({"node": node_address, "conditions": by_itself})

    def reset(self, node_address):
        """Every connection to the node ends at once, for both sides."""
        self._ask({"node": node_address, "reset": True})

    def heal(self):
        for address in self._ports:
            self.set(address)

    def _ask(self, question):
        self._control.write(json.dumps(question) + "\n")
        self._control.flush()
        if self._control.readline() != "ok\n":
            raise Disconnected("the relay has ended")


class Conditions:
    """Of the way to one node, in both directions."""

    def __init__(self, delay_ms=0, jitter_ms=0, loss=0.0, is_stalled=False, is_refused=False):
        self.delay_s = delay_ms / 1000
        self.jitter_s = jitter_ms / 1000
        self.loss = loss
        self.is_stalled = is_stalled
        self.is_refused = is_refused

    def lateness_s(self, chance):
        late_s = self.delay_s + self.jitter_s * chance.random()
        while chance.random() < self.loss:
            late_s += _REPETITION_S
        return late_s


class _Route:
    """One node: its port here, its connections and their conditions."""

    def __init__(self, address, chance):
        self._host, _, self._port = address.rpartition(":")
        self._chance = chance
        self._flowing = asyncio.Event()
        self._writers = set()
        self.conditions = None
        self.set(Conditions())

    async def listen(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return server.sockets[0].getsockname()[1]

    def set(self, conditions):
        self.conditions = conditions
        self._flowing.clear() if conditions.is_stalled else self._flowing.set()
        if conditions.is_refused:
            self.reset()

    def reset(self):
        for writer in list(self._writers):
            self._abort(writer)

    async def _serve(self, reader, writer):
        if self.conditions.is_refused:
            return self._abort(writer)
        try:
            there = await asyncio.open_connection(self._host, int(self._port))
        except OSError:
            return self._abort(writer)
        self._writers |= {writer, there[1]}
        ways = [asyncio.create_task(self._carry(reader, there[1])), asyncio.create_task(self._carry(there[0], writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for each in (writer, there[1]):
            self._abort(each)

    async def _carry(self, reader, writer):
        """Until either side has had enough."""
        pieces = asyncio.Queue(_PIECES_HELD)
        deliveries = asyncio.create_task(self._deliver(pieces, writer))
        clock = asyncio.get_running_loop().time
        try:
            while piece := await reader.read(_PIECE_BYTES):
                await pieces.put((clock() + self.conditions.lateness_s(self._chance), piece))
                if deliveries.done():
                    return
        except OSError:
            pass
        finally:
            deliveries.cancel()

    async def _deliver(self, pieces, writer):
        clock = asyncio.get_running_loop().time
        try:
            while True:
                due, piece = await pieces.get()
                if due > clock():
                    await asyncio.sleep(due - clock())
                await self._flowing.wait()
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass

    def _abort(self, writer):
        self._writers.discard(writer)
        if not writer.transport.is_closing():
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        writer.transport.abort()


async def _obey(routes, reader, writer):
    while line := await reader.readline():
        question = json.loads(line)
        route = routes[question["node"]]
        if question.get("reset"):
            route.reset()
        else:
            route.set(Conditions(**question["conditions"]))
        writer.write(b"ok\n")


async def _run(seed, addresses):
    chance = random.Random(seed)
    routes = {address: _Route(address, chance) for address in addresses}
    ports = {address: await route.listen() for address, route in routes.items()}
    control = await asyncio.start_server(lambda *streams: _obey(routes, *streams), "127.0.0.1", 0)
    print(json.dumps({"control": control.sockets[0].getsockname()[1], "ports": ports}), flush=True)
    await control.serve_forever()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), sys.argv[2:]))
