#!/bin/bash
# Runs one unittest module for Bazel: run_python_test.sh path/to/module.py [unittest arguments].
# The runfiles are the import root, and the cases that ran are written to $XML_OUTPUT_FILE.
set -euo pipefail
module="$1"
shift
export PYTHONPATH="$PWD" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
exec python3 testing/unittest_xml.py "$module" "$@"
