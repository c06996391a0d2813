#!/usr/bin/env bash
# The whole experiment, interleaved, three rounds: perf/experiments/embedded_store/run.sh [DIR on a real disk]
set -euo pipefail
cd "$(dirname "$0")"
cargo build --release --quiet
dir=${1:-$(mktemp -d ./data.XXXX)}
for round in 1 2 3; do
  for store in redb redb-quick fjall; do
    run() { ./target/release/embedded_store "$1" $store "$dir/$2"; }
    rm -rf "${dir:?}/c" "${dir:?}/f"
    run commits c
    (run fill f 2>/dev/null) || true
    run recover f
  done
done 2>&1 | grep -v Aborted
rm -rf "${dir:?}"
