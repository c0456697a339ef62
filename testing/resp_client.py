"""A small blocking RESP client for tests: it can send any bytes and reads RESP2 and RESP3 replies.

Replies become Python values: a status is a str, a bulk string is bytes, an error is a RespError that is
returned and not raised (a test wants to look at it), null is None, arrays, sets and pushes are lists.
"""

import socket


class RespError(Exception):
    """An error reply; `text` is the line without its leading '-'."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text

    def __eq__(self, other):
        return isinstance(other, RespError) and self.text == other.text

    __hash__ = Exception.__hash__


class Disconnected(Exception):
    """The peer closed the connection; replies that were complete before are not lost."""


def encode(*arguments):
    """One command as a multibulk request. Strings are encoded as UTF-8, numbers as decimal text."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if not isinstance(argument, (bytes, bytearray)):
            argument = str(argument).encode()
        parts.append(b"$%d\r\n" % len(argument))
        parts.append(bytes(argument))
        parts.append(b"\r\n")
    return b"".join(parts)


def check(reply):
    """The reply itself, or raises it if it is an error."""
    if isinstance(reply, RespError):
        raise reply
    return reply


class RespClient:
    """One connection to "host:port" or to the path of a Unix socket. `login`: a user and a password."""

    def __init__(self, address, timeout_s=30, login=None):
        self.address = address
        if address.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout_s)
            self.socket.connect(address)
        else:
            host, _, port = address.rpartition(":")
            self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._start = 0
        if login is not None:
            self._log_in(login)

    def _log_in(self, login):
        try:
            self.ok("AUTH", *login)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def half_close(self):
        """Says that nothing more will be sent; replies can still be read."""
        self.socket.shutdown(socket.SHUT_WR)

    def command(self, *arguments):
        self.send(encode(*arguments))
        return self.read_reply()

    def ok(self, *arguments):
        """Like command(), but an error reply is raised."""
        return check(self.command(*arguments))

    def pipeline(self, commands):
        """Sends all commands (tuples) at once and returns their replies. Keep one below socket buffers."""
        self.send(b"".join(encode(*command) for command in commands))
        return [self.read_reply() for _ in commands]

    def read_reply(self):
        line = self._read_line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RespError(rest.decode(errors="backslashreplace"))
        if kind in b":(":
            return int(rest)
        if kind in b"$=!":
            return self._read_bulk(int(rest), kind)
        if kind in b"*~>":
            count = int(rest)
            return None if count < 0 else [self.read_reply() for _ in range(count)]
        if kind == b"%":
            return {_key(self.read_reply()): self.read_reply() for _ in range(int(rest))}
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        raise ValueError(f"not a RESP reply: {line!r}")

    def last_reply(self):
        """The reply that still comes before the peer closes; None when there is none."""
        try:
            return self.read_reply()
        except Disconnected:
            return None

    def read_to_end(self):
        """Everything that still comes until the peer closes, as bytes."""
        data = bytes(self._buffer[self._start :])
        self._buffer.clear()
        self._start = 0
        while True:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                return data
            if not more:
                return data
            data += more

    def _read_bulk(self, size, kind):
        if size < 0:
            return None
        data = self._read_exactly(size)
        end = self._read_exactly(2)
        if end != b"\r\n":
            raise ValueError(f"a bulk string of {size} bytes ends in {end!r}")
        return RespError(data.decode(errors="backslashreplace")) if kind == b"!" else data

    def _read_line(self):
        while True:
            end = self._buffer.find(b"\r\n", self._start)
            if end >= 0:
                line = bytes(self._buffer[self._start : end])
                self._start = end + 2
                return line
            self._fill()

    def _read_exactly(self, size):
        while len(self._buffer) - self._start < size:
            self._fill()
        data = bytes(self._buffer[self._start : self._start + size])
        self._start += size
        return data

    def _fill(self):
        if self._start > 0:
            del self._buffer[: self._start]
            self._start = 0
        more = self.socket.recv(1 << 18)
        if not more:
            raise Disconnected(f"{self.address} closed the connection; unread: {bytes(self._buffer[:80])!r}")
        self._buffer += more


def _key(value):
    return tuple(value) if isinstance(value, list) else value
