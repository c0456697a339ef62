"""Conversations of several clients, played before two servers step by step: what each client hears must be the same.

A script is text, one step a line:

    == name             begins a script; "(RESP2)" or "(RESP3)" behind it when it is for one protocol only
    1 > GET a | GET b   client 1 sends commands, in one write; quotes hold words with blanks, @2 is the id of client 2
    1 >> BLPOP a 1      sends, and waits as long as it takes for a reply to each
    1 leaves            client 1 closes its connection

After each step the reference has nothing more to say: it is one thread, and answers two PINGs of somebody else
after it has done what came before. Then the other side must bring the same to every client, and nothing else by
the end. Commands that wait must wait on both sides before the next step is taken, so the order of those who wait
is that of the script; a message must have reached every node, since one that comes late to a node is heard by those
who have subscribed meanwhile. Messages (of pub/sub, of MONITOR) are compared apart from replies, since a server puts
them between replies wherever it likes.
"""

import itertools
import re
import select
import shlex
import time

from testing.resp_client import Disconnected, RespClient, encode
from testing.resp_frames import complete_frames, elements

CLOSED = b"<closed>"
_CLIENTS_ON_ALL_WORKERS = 4
_PATIENCE_S = 20
_MESSAGE_WORDS = (b"$7\r\nmessage\r\n", b"$8\r\npmessage\r\n", b"$8\r\nsmessage\r\n")
_MONITOR_LINE = re.compile(rb"\+\d+\.\d+ \[\d+ [^]]*\] ")


class Step:
    def __init__(self, client, verb, commands=()):
        self.client = client
        self.verb = verb  # ">", ">>", "leaves"
        self.commands = list(commands)

    def __str__(self):
        return " ".join([str(self.client), self.verb, " | ".join(" ".join(map(repr, c)) for c in self.commands)])


class Script:
    def __init__(self, name, protocols, steps):
        self.name = name
        self.protocols = protocols
        self.steps = steps


def parse(text):
    scripts = []
    for line in text.strip().split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("== "):
            protocols = [number for number in (2, 3) if f"(RESP{number})" in line] or [2, 3]
            scripts.append(Script(line[3:], protocols, []))
        else:
            scripts[-1].steps.append(_parse_step(line))
    return scripts


def _parse_step(line):
    client, verb, *rest = line.split(" ", 2)
    commands = [tuple(shlex.split(part)) for part in rest[0].split(" | ")] if rest else []
    if verb not in (">", ">>", "leaves") or (verb == "leaves") == bool(commands):
        raise ValueError(f"not a step: {line}")
    return Step(int(client), verb, commands)


class Actor(RespClient):
    """One client on one side: what it has heard, as frames that were not looked at yet."""

    def __init__(self, address, protocol):
        super().__init__(address)
        self.frames = []
        self.is_closed = False
        if protocol == 3:
            self.ok("HELLO", 3)
        self.id = self.ok("CLIENT", "ID")
        self._pending = b""
        self.socket.setblocking(False)

    def say(self, commands):
        self.socket.setblocking(True)
        try:
            self.send(b"".join(encode(*command) for command in commands))
        except OSError:
            pass  # It has been closed: that is heard.
        self.socket.setblocking(False)

    def listen(self):
        """Takes what has arrived."""
        while not self.is_closed:
            try:
                data = self.socket.recv(1 << 18)
            except BlockingIOError:
                break
            except ConnectionError:
                data = b""
            frames, self._pending = complete_frames(self._pending + data)
            self.frames += [frame for frame in frames if not _is_about_witness(frame)]
            if not data:
                self.is_closed = True
                self.frames.append(CLOSED)

    def take(self):
        """(replies, messages), made comparable."""
        frames, self.frames = self.frames, []
        messages = [_comparable(frame) for frame in frames if _is_message(frame)]
        replies = [_comparable(frame) for frame in frames if not _is_message(frame)]
        return _in_one_order(replies), _in_order_of_patterns(messages)


def _is_message(frame):
    return frame[frame.find(b"\r\n") + 2 :].startswith(_MESSAGE_WORDS) or _MONITOR_LINE.match(frame) is not None


def _is_about_witness(frame):
    """What clients see of this module, as they monitor or are subscribed to everything."""
    return b"\r\nwitness\r\n" in frame or b'"witness"' in frame or b'"INFO" "clients"' in frame


def _comparable(frame):
    """Without what differs from server to server."""
    header, parts = elements(frame)
    if parts and parts[0] == b"$6\r\nserver\r\n":
        return b"+HELLO " + header
    return _MONITOR_LINE.sub(b"+MONITOR ", frame)


def _in_one_order(replies):
    """UNSUBSCRIBE without names: in any order, each with the number that is left."""
    run = []
    result = []
    for reply in [*replies, None]:
        parts = elements(reply)[1] if reply else []
        if len(parts) == 3 and parts[0].endswith(b"unsubscribe\r\n"):
            run.append(parts)
            continue
        names = sorted(parts[1] for parts in run)
        result += [parts[0] + name + parts[2] for parts, name in zip(run, names)]
        run = []
        result += [reply] if reply is not None else []
    return result


def _publishes(step):
    return any(command[0] in ("PUBLISH", "SPUBLISH") for command in step.commands)


def _without_counts(step, heard):
    """How many clients PUBLISH has reached: a node of a cluster counts its own."""
    if _publishes(step):
        replies, messages = heard[step.client]
        heard[step.client] = [re.sub(rb"^:\d+", b":n", reply) for reply in replies], messages
    return heard


def _in_order_of_patterns(messages):
    """A message that matches several patterns: they are in the order of a hash table."""
    kinds_and_texts = [(frame[1:12], elements(frame)[1][-1:]) for frame in messages]
    result = []
    for _, group in itertools.groupby(zip(kinds_and_texts, messages), lambda pair: pair[0]):
        result += sorted(frame for _, frame in group)
    return result


class Side:
    """The clients of a script before one server. `nodes`: where commands wait and messages come, if elsewhere."""

    def __init__(self, address, protocol, nodes=None):
        self._address = address
        self._protocol = protocol
        self._actors = {}
        self._witnesses = [RespClient(node) for node in nodes or [address]]
        self._ears = [RespClient(node) for node in nodes or []]
        for ear in self._ears:
            ear.ok("SUBSCRIBE", "witness")

    def close(self):
        for client in [*self._actors.values(), *self._witnesses, *self._ears]:
            client.close()

    def actor(self, number):
        if number not in self._actors:
            self._actors[number] = Actor(self._address, self._protocol)
        return self._actors[number]

    def perform(self, step):
        actor = self.actor(step.client)
        if step.verb == "leaves":
            actor.close()
            del self._actors[step.client]
            self._wait_until(lambda: self._has_left(actor.id), f"client {actor.id} to be gone")
            return
        actor.say([[self._named(word) for word in command] for command in step.commands])
        if step.verb == ">>":
            self._listen_until(lambda: len(actor.frames) >= len(step.commands), [actor])

    def _has_left(self, client_id):
        with RespClient(self._address) as client:
            return client.ok("CLIENT", "LIST", "ID", client_id) == b""

    def _named(self, word):
        return str(self.actor(int(word[1:])).id) if re.fullmatch(r"@\d", word) else word

    def waiting(self):
        """How many clients wait for something at the nodes."""
        for witness in self._witnesses:
            witness.send(encode("INFO", "clients"))
        texts = [witness.read_reply() for witness in self._witnesses]
        return sum(int(re.search(rb"blocked_clients:(\d+)", text)[1]) for text in texts)

    def settle(self):
        """Of a server of one thread: everything that follows from the last step has happened."""
        for _ in range(3):
            self._witnesses[0].ok("PING", "witness")
        for actor in self._actors.values():
            actor.listen()

    def is_waiting(self, number):
        """Whether the client waits for something at this server."""
        line = self._witnesses[0].ok("CLIENT", "LIST", "ID", self.actor(number).id)
        return re.search(rb" flags=\w*b", line) is not None

    def follow(self, step, reference):
        """Until everybody has heard as much as on the other side, and as many clients wait."""
        pairs = [(self.actor(number), theirs) for number, theirs in reference._actors.items()]
        self._listen_until(
            lambda: all(len(ours.frames) >= len(theirs.frames) for ours, theirs in pairs), [ours for ours, _ in pairs]
        )
        if _publishes(step):  # It has its reply now.
            self._let_messages_pass()
            for ours, _ in pairs:
                ours.listen()
        expected = reference.waiting()
        self._wait_until(lambda: self.waiting() == expected, f"{expected} clients to wait")

    def _let_messages_pass(self):
        """What any node has published so far has come to all nodes, behind it the same from all of them; and to the
        workers of rcproxy, each of which hears of a new subscription behind it."""
        for witness in self._witnesses:
            witness.ok("PUBLISH", "witness", "witness")
        for ear in self._ears:
            for _ in self._witnesses:
                ear.read_reply()
        for _ in range(_CLIENTS_ON_ALL_WORKERS):
            with RespClient(self._address) as client:
                client.ok("SUBSCRIBE", "witness")
                client.ok("UNSUBSCRIBE", "witness")

    def take(self):
        return {number: actor.take() for number, actor in sorted(self._actors.items())}

    def _listen_until(self, condition, actors):
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            for actor in actors:
                actor.listen()
            if condition() or time.monotonic() > deadline:
                return  # What is missing will be seen by who compares.
            select.select([actor.socket for actor in actors if not actor.is_closed], [], [], 0.05)

    def _wait_until(self, condition, what):
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited in vain for {what}")
            time.sleep(0.002)


def play(steps, reference, subject, in_turn=False):
    """Returns the first difference as text; None: there is none. `in_turn`: who waits for something says nothing."""
    clients = sorted({step.client for step in steps})
    for side in (reference, subject):
        for number in clients:
            side.actor(number)
    for index, step in enumerate([*steps, *[Step(number, ">", [("ECHO", "the end")]) for number in clients]]):
        if in_turn and reference.actor(step.client).is_closed:
            step = Step(step.client, "leaves")  # And comes again.
        if in_turn and step.verb != "leaves" and reference.is_waiting(step.client):
            continue
        reference.perform(step)
        reference.settle()
        subject.perform(step)
        try:
            subject.follow(step, reference)
        except (TimeoutError, Disconnected) as error:
            return f"step {index + 1}: {step}\n  {error}"
        theirs, ours = (_without_counts(step, side.take()) for side in (reference, subject))
        for number, expected in theirs.items():
            if ours[number] != expected:
                return f"step {index + 1}: {step}\n  client {number}\n  rcproxy: {ours[number]}\n  server:  {expected}"
    return None
