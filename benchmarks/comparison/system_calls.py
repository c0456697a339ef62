"""Counts the system calls of a running process.

perf counts a kernel tracepoint, which disturbs the process by well under a microsecond per call.
strace stops the process twice per call: a proxy slowed like that finds more work at each wake-up and
batches more, so its counts are lower bounds. Never measure times in the same run.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time

from testing import processes

_EVENT = "raw_syscalls:sys_enter"


def tool():
    """ "perf", "strace", or "" when neither may be used here."""
    if shutil.which("perf"):
        probe = subprocess.run(["perf", "stat", "-x,", "-e", _EVENT, "true"], capture_output=True,
                               text=True, check=False)
        if probe.returncode == 0 and parse_perf(probe.stderr) is not None:
            return "perf"
    return "strace" if shutil.which("strace") else ""


def parse_perf(text):
    """The count in the output of `perf stat -x,`; None when it has none."""
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[2] == _EVENT and fields[0].isdigit():
            return int(fields[0])
    return None


def parse_strace(text):
    """The count in the last line of `strace -c`; None when it has none."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[-1] == "total":
            numbers = [field for field in fields[:-1] if field.isdigit()]
            return int(numbers[1]) if len(numbers) > 1 else int(numbers[0]) if numbers else None
    return None


class Count:
    """`with Count(pid, tool) as count: ...`, then count.calls."""

    def __init__(self, pid, tool_name, directory):
        self._path = os.path.join(directory, f"system-calls-{pid}")
        self._tool = tool_name
        self.calls = None
        if tool_name == "perf":
            self._argv = ["perf", "stat", "-x,", "-o", self._path, "-e", _EVENT, "-p", str(pid)]
        else:
            self._argv = ["strace", "-c", "-f", "-o", self._path, "-p", str(pid)]

    def __enter__(self):
        self._process = processes.spawn(self._argv, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        time.sleep(0.5)  # Neither says when it has attached.
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        processes.end(self._process)
        with contextlib.suppress(OSError):
            with open(self._path, encoding="utf-8") as file:
                text = file.read()
            self.calls = parse_perf(text) if self._tool == "perf" else parse_strace(text)
