"""Reads the data files and joins them into one list of commands. See gen_command_table.py."""

import dataclasses
import json
import re


class DataError(Exception):
    """The data files contradict one another or leave something open."""


@dataclasses.dataclass
class Key:
    """One key spec; the fields are those of KeySpec in cluster/command_table.h."""

    begin: str = "kIndex"
    find: str = "kRange"
    index: int = 0
    keyword: str = ""
    last: int = 0
    step: int = 1
    limit: int = 0
    keynum_index: int = 0
    keynum_first: int = 0
    is_channel: bool = False
    movable: str = ""

    def text(self):
        """The notation of commands.tsv."""
        if self.movable:
            return f"movable:{self.movable}"
        step = f"/{self.step}" if self.step != 1 else ""
        if self.begin == "kKeyword":
            kind = "half-after" if self.limit == 2 else "after" if self.last else "next-after"
            text = f"{kind}:{self.keyword}"
        elif self.find == "kKeyNum":
            text = f"n@{self.index}{step}"
        elif self.last == 0:
            text = f"{self.index}"
        else:
            end = self.last if self.last < 0 else self.index + self.last
            text = f"{self.index}..{end}{step}"
        return ("ch:" if self.is_channel else "") + text


@dataclasses.dataclass
class Command:
    """One row of the table. `name` is as in CommandSpec: "get", "client|list"."""

    name: str
    group: str
    since: str
    arity: int
    keys: list
    flags: set
    disposition: str
    command_class: str
    hint: str
    route: str = ""
    merge: str = "kNone"
    note: str = ""
    subcommands: list = dataclasses.field(default_factory=list)
    known_to_server: bool = False

    def available(self):
        return self.route not in ("kRefuse", "kNodeOnly") and "NotYet" not in self.flags


ROUTES = {
    "ROUTE": "kKeyed", "ROUTE-SS": "kKeyed", "COMPUTE": "kKeyed", "SPLIT": "kKeyed",
    "FAN-P": "kAllPrimaries", "FAN-P*": "kAllPrimaries", "FAN-N": "kAllNodes",
    "ANY": "kAnyPrimary", "ANY*": "kAnyPrimary",
    "LOCAL": "kLocal", "LOCAL*": "kLocal", "LOCAL+ANY": "kLocal", "LOCAL+FAN-N": "kLocal",
    "LOCAL+FAN-P": "kLocal",
    "CONTAINER": "kContainer", "TXN": "kTransaction", "DEDICATED": "kBlocking",
    "PUBSUB": "kPubSub", "NODE": "kNodeOnly", "REFUSE": "kRefuse",
}
# The commands whose tip is multi_shard and whose parts are merged by a rule of the table.
SPLIT_MERGES = {
    "mget": "kKeyOrder", "mset": "kAllOk", "del": "kSum", "unlink": "kSum", "exists": "kSum",
    "touch": "kSum",
}
# Response policies of the servers, and the short forms of commands.tsv.
MERGES = {
    "agg_sum": "kSum", "sum": "kSum", "all_succeeded": "kAllOk", "all_ok": "kAllOk",
    "agg_min": "kMin", "min": "kMin", "agg_logical_and": "kAnd", "and": "kAnd",
    "one_succeeded": "kSpecial", "one_ok": "kSpecial", "special": "kSpecial",
    "default": "kConcat",
}
SERVER_FLAGS = {
    "readonly": "Read", "write": "Write", "blocking": "Blocking", "admin": "Admin",
    "pubsub": "PubSub", "no_multi": "NoMulti", "no_auth": "NoAuth",
}
ACCESS_FLAGS = {
    "R": "Read", "W": "Write", "b": "Blocking", "a": "Admin", "p": "PubSub", "m": "NoMulti",
    "u": "NoAuth", "r": "MayReplicate",
}
DEFAULT_NOTES = {
    "ROUTE-SS": "keys must share a slot",
    "NODE": "send it to the node itself",
}
HELP_NOTE = "lists what rcproxy serves"


def read_tsv(path):
    """Rows as dictionaries; lines that begin with '#' are comments."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    header = lines[0].split("\t")
    rows = []
    for line in lines[1:]:
        cells = line.split("\t")
        if len(cells) != len(header):
            raise DataError(f"{path.name}: {len(cells)} cells instead of {len(header)}: {line}")
        rows.append(dict(zip(header, cells)))
    return rows


def table_name(text):
    """"CLIENT NO-EVICT" -> "client|no-evict"; words that stand for arguments are left out."""
    words = [word for word in text.split() if re.fullmatch(r"[A-Z0-9._-]+", word)]
    return "|".join(words[:2]).lower()


def parse_keys(text):
    """The notation of commands.tsv -> list of Key."""
    keys = []
    for part in text.split("+") if text != "-" else []:
        key = Key(is_channel=part.startswith("ch:"))
        part = part.removeprefix("ch:")
        if part.startswith("movable"):
            key.begin, key.find, key.movable = "kNone", "kMovable", part.partition(":")[2]
        elif match := re.fullmatch(r"(half-|next-|)after:([A-Z]+)", part):
            key.begin, key.keyword, key.index = "kKeyword", match[2], 1
            key.last, key.limit = {"half-": (-1, 2), "next-": (0, 0), "": (-1, 0)}[match[1]]
        elif match := re.fullmatch(r"n@(\d+)(?:/(\d+))?", part):
            key.find, key.index, key.keynum_first = "kKeyNum", int(match[1]), 1
            key.step = int(match[2] or 1)
        elif match := re.fullmatch(r"(\d+)(?:\.\.(-?\d+)(?:/(\d+))?)?", part):
            key.index, key.step = int(match[1]), int(match[3] or 1)
            last = int(match[2] or match[1])
            key.last = last if last < 0 else last - key.index
        else:
            raise DataError(f"unknown key notation {part}")
        keys.append(key)
    return keys


def server_key(spec):
    """One key spec of COMMAND -> Key."""
    begin, find = spec["begin"], spec["find"]
    key = Key(is_channel="not_key" in spec["flags"])
    if begin["type"] == "unknown":
        key.begin, key.find, key.movable = "kNone", "kMovable", "unknown"
        return key
    if begin["type"] == "keyword":
        key.begin, key.keyword, key.index = "kKeyword", begin["keyword"], begin["startfrom"]
    else:
        key.index = begin["index"]
    if find["type"] == "keynum":
        key.find, key.step = "kKeyNum", find["keystep"]
        key.keynum_index, key.keynum_first = find["keynumidx"], find["firstkey"]
    else:
        key.last, key.step, key.limit = find["lastkey"], find["keystep"], find["limit"]
    return key


def keys_text(keys):
    return "+".join(key.text() for key in keys) or "-"


def same_keys(server, row):
    """Compares what both say, leaving out who parses what is movable."""
    plain = [re.sub(r"movable:?\w*", "movable", keys_text(keys)) for keys in (server, row)]
    return plain[0] == plain[1]


def server_commands(path):
    """COMMAND's rows by table name."""
    found = {}
    for row in json.loads(path.read_text())["commands"]:
        for entry in [row] + row.get("subcommands", []):
            found[entry["name"]] = entry
    return found


def hint_of(server, row):
    tips = dict(tip.split(":") for tip in server["tips"] if ":" in tip) if server else {}
    if "response_policy" in tips:
        return tips["response_policy"]
    if "request_policy" in tips:
        return "default"
    return row["server_hint"].partition("/")[2]


def make_command(row, server):
    """One row of commands.tsv, and what the server says about it when it knows it."""
    flags = {ACCESS_FLAGS[letter] for letter in row["acc"] if letter != "-"}
    keys = parse_keys(row["keys"])
    if server:
        flags -= set(SERVER_FLAGS.values())
        flags |= {SERVER_FLAGS[flag] for flag in server["flags"] if flag in SERVER_FLAGS}
    if row["replica"].startswith("y"):
        flags.add("ReplicaOk")
    if row["class"] == "dangerous":
        flags.add("Dangerous")
    if row["group"].startswith("module:"):
        flags.add("Module")
    command = Command(
        name=table_name(row["command"]), group=row["group"], since=row["since"],
        arity=proxy_arity(row["command"]) if row["arity"] == "-" else int(row["arity"]),
        keys=keys, flags=flags, disposition=row["disposition"], command_class=row["class"],
        hint=hint_of(server, row), known_to_server=server is not None)
    is_help = command.name.endswith("|help")
    command.note = HELP_NOTE if is_help else DEFAULT_NOTES.get(command.disposition, "")
    return command


def proxy_arity(text):
    """Arity of the proxy's own commands, which commands.tsv gives as a usage line."""
    optional = "[" in text
    fixed = len(text.partition("[")[0].split())
    return -fixed if optional else fixed


def set_route(command):
    command.route = ROUTES[command.disposition]
    if command.name in SPLIT_MERGES:
        command.route, command.merge, command.note = "kSplit", SPLIT_MERGES[command.name], ""
    elif command.route in ("kAllPrimaries", "kAllNodes"):
        command.merge = MERGES.get(command.hint, "kNone")


def check_against_server(command, server, overridden):
    """Where both know a command they agree, or an override says which of them is right."""
    server_keys = [server_key(spec) for spec in server["key_specs"]]
    if "arity" not in overridden and server["arity"] != command.arity:
        raise DataError(f"{command.name}: arity {server['arity']} or {command.arity}?")
    if "keys" not in overridden:
        if not same_keys(server_keys, command.keys):
            raise DataError(f"{command.name}: keys {keys_text(server_keys)} or "
                            f"{keys_text(command.keys)}?")
        command.keys = server_keys  # They also say where a keyword is searched from.


def apply_override(command, field, value):
    if field == "arity":
        command.arity = int(value)
    elif field == "keys":
        command.keys = parse_keys(value)
    elif field in ("route", "merge"):
        setattr(command, field, value)
    elif field == "flags":
        for word in value.split():
            (command.flags.add if word[0] == "+" else command.flags.discard)(word[1:])
    else:
        raise DataError(f"overrides.tsv: unknown field {field}")


def apply_files(data, commands):
    """notes.tsv, overrides.tsv and not_yet.tsv; every row must meet a command."""
    overridden = {}
    for row in read_tsv(data / "overrides.tsv"):
        command = commands.get(row["command"])
        if command is None or not row["reason"]:
            raise DataError(f"overrides.tsv: unknown command or no reason: {row['command']}")
        overridden.setdefault(row["command"], {})[row["field"]] = row["value"]
    for name, command in commands.items():
        set_route(command)
        if "Read" in command.flags:
            command.flags.add("Idempotent")
        for field, value in overridden.get(name, {}).items():
            apply_override(command, field, value)
    for row in read_tsv(data / "notes.tsv"):
        if row["command"] not in commands:
            raise DataError(f"notes.tsv: unknown command {row['command']}")
        commands[row["command"]].note = row["note"]
    apply_not_yet(read_tsv(data / "not_yet.tsv"), commands)
    return overridden


def apply_not_yet(rows, commands):
    """Marks what has a route but is not served. The lines of routes come first in effect."""
    for row in sorted(rows, key=lambda row: not row["command"].startswith("route:")):
        kind, _, route = row["command"].rpartition(":")
        named = [command for name, command in commands.items()
                 if (command.route == route if kind else name == row["command"])]
        if not named:
            raise DataError(f"not_yet.tsv: {row['command']} names no command")
        for command in named:
            command.flags.add("NotYet")
            command.note = row["note"]


def add_containers(commands):
    """Containers that only modules or the proxy have and that have no row of their own."""
    for name, command in list(commands.items()):
        container = name.partition("|")[0]
        if container not in commands:
            commands[container] = Command(
                name=container, group=command.group, since=command.since, arity=-2, keys=[],
                flags=command.flags & {"Module"}, disposition="CONTAINER", command_class="user",
                hint="")
    for name, command in commands.items():
        container, _, subcommand = name.partition("|")
        if subcommand:
            commands[container].subcommands.append(command)


def check_complete(command):
    """What must hold for every row before it goes into the table."""
    fans_out = command.route in ("kAllPrimaries", "kAllNodes", "kSplit")
    if fans_out != (command.merge != "kNone"):
        raise DataError(f"{command.name}: route {command.route} with merge {command.merge}")
    if command.route in ("kRefuse", "kNodeOnly") and not command.note:
        raise DataError(f"{command.name}: a refused command needs a note that says what to do")
    if command.route == "kContainer" and not command.subcommands:
        raise DataError(f"{command.name}: a container without subcommands")
    for key in command.keys:
        if key.find == "kMovable" and key.movable in ("", "unknown"):
            raise DataError(f"{command.name}: movable keys need an override with their parser")


def load(data):
    """Returns the top-level commands sorted by name, with their subcommands."""
    server = server_commands(data / "redis-7.0.15.json")
    commands = {}
    for row in read_tsv(data / "commands.tsv"):
        command = make_command(row, server.get(table_name(row["command"])))
        if command.name in commands:
            raise DataError(f"commands.tsv: {command.name} twice")
        commands[command.name] = command
    missing = sorted(set(server) - set(commands))
    if missing:
        raise DataError(f"commands.tsv has no row for {', '.join(missing)}")
    add_containers(commands)
    overridden = apply_files(data, commands)
    for name, command in commands.items():
        if name in server:
            check_against_server(command, server[name], overridden.get(name, {}))
        check_complete(command)
        command.subcommands.sort(key=lambda subcommand: subcommand.name)
    return sorted((c for c in commands.values() if "|" not in c.name), key=lambda c: c.name)
