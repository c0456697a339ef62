#!/bin/sh
# The generated files are those that the data files give.
export PYTHONDONTWRITEBYTECODE=1
exec python3 tools/gen_command_table.py --check
