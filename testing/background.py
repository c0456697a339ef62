"""What runs in threads beside a test: servers that it talks to, and clients that work until a block ends."""

import socket
import threading


class LoopbackServer:
    """Listens on a free port; each connection gets a thread that runs serve(connection), from __init__ on."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._listener.close()

    def serve(self, connection):
        raise NotImplementedError

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()


class Background:
    """A thread for each of `arguments` runs work(*arguments) from the beginning of a with-block on; it has to end
    soon after `is_over` is set, for which the end of the block waits."""

    def __init__(self, arguments):
        self.is_over = threading.Event()
        self._threads = [threading.Thread(target=self.work, args=each) for each in arguments]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self._threads:
            thread.join()

    def work(self, *arguments):
        raise NotImplementedError
