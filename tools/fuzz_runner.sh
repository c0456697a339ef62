#!/bin/bash
# Fuzzes one target: fuzz_runner.sh BINARY CORPUS_FILE...
#
# libFuzzer only replays when it is handed files, and fuzzes when it is handed a folder: so the committed
# corpus is copied to a folder first. FUZZ_SECONDS says for how long. New findings stay in the test's outputs.
set -euo pipefail
binary="$1"
shift
corpus="${TEST_TMPDIR:?run through bazel test}/corpus"
mkdir -p "$corpus"
for file in "$@"; do
  cp --dereference "$file" "$corpus/$(basename "$file")"
done
exec "$binary" -max_total_time="${FUZZ_SECONDS:-10}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
  -artifact_prefix="${TEST_UNDECLARED_OUTPUTS_DIR:-$TEST_TMPDIR}/" "$corpus"
