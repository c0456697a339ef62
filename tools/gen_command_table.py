#!/usr/bin/env python3
"""Writes cluster/command_table.inc and docs/COMMANDS.md from the data files in cluster/data.

Run by hand after a change of the data, from the root of the tree:

    tools/gen_command_table.py           writes both files
    tools/gen_command_table.py --check   writes nothing, fails when they are not up to date

Inputs, in the order in which they decide:
    redis-7.0.15.json  what a server says in COMMAND: arity, flags, key specs, tips
    commands.tsv       every command of that and of newer servers and modules, and our disposition
    overrides.tsv      where we decide otherwise, one reason each
    notes.tsv          what differs from one server; for a refused command, what to do instead
    not_yet.tsv        commands that have a route but that rcproxy does not serve yet

It refuses (exit 1) when the first two disagree without an override, when a row of any file is not
used, and when a fan-out has no merge rule.
"""

import argparse
import pathlib
import sys

import gen_command_table_cc
import gen_command_table_docs
import gen_command_table_model

ROOT = pathlib.Path(__file__).absolute().parent.parent
DATA = ROOT / "cluster" / "data"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    try:
        commands = gen_command_table_model.load(DATA)
    except gen_command_table_model.DataError as error:
        sys.exit(f"gen_command_table: {error}")
    outputs = {
        ROOT / "cluster" / "command_table.inc": gen_command_table_cc.render(commands),
        ROOT / "docs" / "COMMANDS.md": gen_command_table_docs.render(commands),
    }
    stale = []
    for path, text in outputs.items():
        if check:
            if not path.exists() or path.read_text() != text:
                stale.append(str(path.relative_to(ROOT)))
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    if stale:
        sys.exit(f"not up to date, run tools/gen_command_table.py: {', '.join(stale)}")


if __name__ == "__main__":
    main()
