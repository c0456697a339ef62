"""Makes the kernel lose, delay and stall packets, in a network namespace that nobody else is in.

    own_namespace("netem")     # The command to start a program with, so that it is alone on its loopback.
    with Netem([port]) as network: network.set(port, delay_ms=20, loss=0.05)

Ways to do so, the best one first; which of them a machine has is tried out, not guessed:

    netem      tc of iproute2 and the kernel's netem: delay, loss, stall
    nftables   its random drop: loss, stall
    relay      no kernel's help, testing/relay.py does all by itself

The namespace has no name and no other interface than loopback: it is gone with its last process, however that ended.
Needs root, or the right to make user namespaces.
"""

import functools
import os
import shutil
import subprocess

KINDS = ("netem", "nftables", "relay")


class Netem:
    """A class of HTB for each port, which is as fast as can be, and has netem for a queue."""

    CONDITIONS = frozenset(("delay_ms", "jitter_ms", "loss", "is_stalled"))
    PROBE = "tc qdisc add dev lo root netem delay 1ms loss 1% && tc qdisc replace dev lo root htb"

    def __init__(self, ports):
        self._minors = {port: f"{number:x}" for number, port in enumerate(ports, 1)}

    def __enter__(self):
        _run(["tc", "-batch", "-"], "".join(f"{line}\n" for line in self.setup("netem")))
        return self

    def __exit__(self, *_):
        _run(["tc", "qdisc", "del", "dev", "lo", "root"])

    def setup(self, queue):
        """What makes it, as lines for tc. `queue` is the discipline at the end of each class."""
        yield "qdisc add dev lo root handle 1: htb"
        for port, minor in self._minors.items():
            yield f"class add dev lo parent 1: classid 1:{minor} htb rate 10gbit quantum 65536"
            yield f"qdisc add dev lo parent 1:{minor} handle f{minor}: {queue}"
            for side in ("dport", "sport"):
                yield f"filter add dev lo parent 1: protocol ip u32 match ip {side} {port} 0xffff flowid 1:{minor}"

    @staticmethod
    def discipline(delay_ms=0, jitter_ms=0, loss=0.0, is_stalled=False):
        """As arguments for tc."""
        lost = "100%" if is_stalled else f"{100 * loss:.2f}%"
        return ["netem", "limit", "10000", "delay", f"{delay_ms}ms", f"{jitter_ms}ms", "loss", lost]

    def set(self, port, **conditions):
        """Of the packets to and from a port. What is not named becomes normal again."""
        minor = self._minors[port]
        place = ["dev", "lo", "parent", f"1:{minor}", "handle", f"f{minor}:"]
        _run(["tc", "qdisc", "change", *place, *self.discipline(**conditions)])


class Nftables:
    """A chain for each port, empty unless packets are to be dropped."""

    CONDITIONS = frozenset(("loss", "is_stalled"))
    PROBE = (
        "nft 'add table inet probe; add chain inet probe input { type filter hook input priority 0; };"
        " add rule inet probe input iif lo tcp dport 1 numgen random mod 10000 < 1 drop'"
    )

    def __init__(self, ports):
        self._ports = list(ports)

    def __enter__(self):
        chains = "".join(f"  chain port{port} {{}}\n" for port in self._ports)
        jumps = "".join(
            f"    tcp {side} {port} jump port{port}\n" for port in self._ports for side in ("dport", "sport")
        )
        hook = "type filter hook input priority 0;"
        self._load(f"table inet bad_network {{\n{chains}  chain input {{\n    {hook}\n{jumps}  }}\n}}\n")
        return self

    def __exit__(self, *_):
        self._load("delete table inet bad_network\n")

    def set(self, port, loss=0.0, is_stalled=False):
        """As Netem.set."""
        rule = f"add rule inet bad_network port{port}"
        text = f"flush chain inet bad_network port{port}\n"
        if is_stalled:
            text += f"{rule} drop\n"
        elif loss > 0:
            text += f"{rule} numgen random mod 10000 < {round(loss * 10000)} drop\n"
        self._load(text)

    @staticmethod
    def _load(text):
        _run(["nft", "-f", "-"], text)


_BY_KERNEL = {"netem": Netem, "nftables": Nftables}


def in_kernel(kind):
    """The class that does it, None for the relay."""
    return _BY_KERNEL.get(kind)


@functools.cache
def possible():
    """Those of KINDS that there are here, the best one first."""
    return tuple(kind for kind in KINDS if kind not in _BY_KERNEL or _works(kind))


def own_namespace(kind):
    """What to put before a command for it to run in a namespace of its own, whose loopback is up; nothing for a kind
    that needs none."""
    if kind not in _BY_KERNEL:
        return []
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *as_root, "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def _works(kind):
    if not all(shutil.which(program, path=environment()["PATH"]) for program in ("unshare", "ip")):
        return False
    command = own_namespace(kind) + ["sh", "-c", _BY_KERNEL[kind].PROBE]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=environment()).returncode == 0


def environment():
    """For such a command: what it calls is for administrators, and not in everybody's path."""
    return {**os.environ, "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"}


def _run(command, text=""):
    done = subprocess.run(command, input=text, text=True, capture_output=True, env=environment())
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
