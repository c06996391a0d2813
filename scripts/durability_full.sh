#!/usr/bin/env bash
# The crashes of tests/durability, many more of them: kill -9 under load and restart for both stores in both modes, and
# kill -9 while a store is read. Prints what was lost and how long the longest gap was. Needs redis-server.
#
#   scripts/durability_full.sh            200 rounds of each
#   scripts/durability_full.sh 50         so many
set -euo pipefail
cd "$(dirname "$0")/.."
export KILL_ROUNDS=${1:-200} RECOVERY_ROUNDS=${1:-200}
cargo test --test durability --no-run
for one in kill_embedded_window kill_embedded_durable kill_redis_window kill_redis_durable a_crash_while; do
  echo "== $one"
  cargo test -q --test durability "$one" -- --nocapture --test-threads=1 2>&1 | grep -E 'crashes|blows|panicked|must|FAILED|lost' || true
done
