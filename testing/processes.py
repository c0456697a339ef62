"""Child processes of tests and scripts: started so that none outlives its parent, and ports for them."""

import concurrent.futures
import random
import socket
import subprocess

# Ports below the range from which Linux takes those of outgoing connections, so that no client of another
# test can sit on the port that we are about to give to a server.
_PORTS = range(12000, 32000)

# The kernel ends a child when the *thread* that started it ends, so one thread starts them all, and lives
# until the interpreter leaves.
_spawner = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def spawn(arguments, **popen_arguments):
    """Popen in a session of its own (Ctrl-C does not reach it); SIGTERM reaches it if we are killed."""
    command = ["setpriv", "--pdeathsig", "TERM", "--"] + [str(argument) for argument in arguments]
    return _spawner.submit(
        subprocess.Popen, command, stdin=subprocess.DEVNULL, start_new_session=True, **popen_arguments
    ).result()


def end(process, grace_s=10):
    """SIGTERM, then SIGKILL if it does not help; returns the exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def port_is_free(port, host="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def free_port(host="127.0.0.1"):
    """A port that nobody listens on now. Another process may take it first: callers retry on failure."""
    generator = random.SystemRandom()
    for _ in range(1000):
        port = generator.choice(_PORTS)
        if port_is_free(port, host):
            return port
    raise RuntimeError("no free port found")
