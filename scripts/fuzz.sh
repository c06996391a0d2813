#!/usr/bin/env bash
# Fuzzes each target for a number of seconds (60), from its seed corpus and what earlier runs have found.
#
#   scripts/fuzz.sh                     all targets, a minute each
#   scripts/fuzz.sh 600 message_json    one target, ten minutes
#
# A finding is left in tests/fuzz/artifacts; replay it by giving the file to the program of the target. Once mended, put
# it into tests/fuzz/corpus/TARGET, which the ordinary tests replay.
set -euo pipefail
cd "$(dirname "$0")/../tests/fuzz"

seconds=${1:-60}
shift || true
if [ $# -eq 0 ]; then set -- http_head socket_bytes message_json shard_ops v2_json node_turns layout_json pretix_plan jwt letter; fi

host=$(rustc -vV | sed -n 's/^host: //p')
# The coverage that libFuzzer steers by, which is all that a stable compiler needs; a target of its own name keeps it out
# of build scripts.
coverage="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS="$coverage" cargo build --release --target "$host" --bins

failed=0
for target in "$@"; do
  found=target/corpus/$target
  log=target/$target.log
  mkdir -p "$found" "artifacts/$target"
  echo "== $target for $seconds s"
  if "target/$host/release/$target" "$found" "corpus/$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
    -artifact_prefix="artifacts/$target/" -print_final_stats=1 >"$log" 2>&1; then
    grep '^stat::' "$log"
  else
    failed=1
    tail -60 "$log"
  fi
done
exit $failed
