"""What processes use, as the kernel accounts it, and what a benchmark needs beyond starting them."""

import contextlib
import dataclasses
import fcntl
import os
import re
import resource
import shlex
import socket
import sys
import time

from testing import processes

HOST = "127.0.0.1"
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def raise_descriptor_limit(wanted=65536):
    """Ten thousand clients cost a plain TCP proxy twenty thousand descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(wanted, hard), hard):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return limit
    return hard


def spawn(argv, cpu=None, log=None, cwd=None):
    """Starts `argv`, bound to one CPU if given: its threads and children inherit that."""
    if cpu is not None:
        argv = ["taskset", "-c", str(cpu), *argv]
    with open(log or os.devnull, "ab") as sink:
        return processes.spawn(argv, stdout=sink, stderr=sink, cwd=cwd)


def bind_to_cpu(pid, cpu):
    """For a process that is already running, with all its threads."""
    if cpu is None:
        return
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {cpu})


def wait_for_port(port, process=None, timeout_s=15.0):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"exited with status {process.returncode} before listening on {port}")
        try:
            socket.create_connection((HOST, port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")


@dataclasses.dataclass
class Sample:
    """What a process and its children have used so far."""

    run_seconds: float = 0.0  # Fine, but only of threads still alive.
    user_seconds: float = 0.0  # In steps of 10 ms, of all threads there have been.
    system_seconds: float = 0.0
    rss_kib: int = 0
    threads: int = 0

    def __add__(self, other):
        return Sample(*(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other))))


def _family(pid):
    """`pid` and its descendants: some proxies work in a child."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        found.append(parent)
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as file:
                    todo += [int(child) for child in file.read().split()]
    return found


def _sample_one(pid):
    sample = Sample()
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    sample.user_seconds = int(fields[11]) / _TICKS_PER_SECOND
    sample.system_seconds = int(fields[12]) / _TICKS_PER_SECOND
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                sample.rss_kib = int(line.split()[1])
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                sample.run_seconds += int(file.read().split()[0]) * 1e-9
            sample.threads += 1
    return sample


def sample(pid):
    total = Sample()
    for member in _family(pid):
        with contextlib.suppress(OSError, IndexError):
            total += _sample_one(member)
    return total


def cpu_seconds(before, after):
    """CPU seconds (total, user, system): the fine clock, unless threads came and went."""
    user = after.user_seconds - before.user_seconds
    system = after.system_seconds - before.system_seconds
    ticks = user + system
    total = after.run_seconds - before.run_seconds
    if abs(total - ticks) > 0.05 + 0.05 * ticks:
        total = ticks
    share = user / ticks if ticks > 0 else 0.0
    return total, total * share, total * (1 - share)


def machine_busy_seconds():
    """Seconds all CPUs together were not idle."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(field) for field in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS_PER_SECOND


@contextlib.contextmanager
def machine_lock(path):
    """Held for a whole run, so that two benchmarks never disturb each other."""
    if not path:
        yield
        return
    with open(path, "a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def child_cpu_seconds():
    """Of children that have ended: the load generators, not the servers and proxies, which still run.
    Proxies that were stopped in between count too, so take the difference around one run only."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def command_line(root):
    """How this was called, as it works from the root of the tree; other programs by their names alone."""
    words = [word.replace(root + os.sep, "") for word in (os.path.abspath(sys.argv[0]), *sys.argv[1:])]
    return shlex.join(re.sub(r"(^|=)/(?:[^/:]*/)+", r"\1", word) for word in words)
