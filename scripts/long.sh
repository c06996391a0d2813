#!/usr/bin/env bash
# Tests at their full size, too long for scripts/test.sh: run and report them before a release.
#
#   scripts/long.sh durability [ROUNDS]   kill -9 under load and restart, both stores in both modes, and while a store is
#                                         read, and while orders are booked (200 rounds of each); prints what was lost
#                                         and the longest gap
#   scripts/long.sh hogs                  each attack of docs/SECURITY-TESTS.md at its full size, in release, in a cgroup of
#                                         512 MiB where one can be made; prints the table
#   scripts/long.sh server                ten waves of 5,000 connections, and an end with 10,000, in release; it needs
#                                         20,000 open files for each of the two processes (`ulimit -n`)
#   scripts/long.sh topologies [ROUNDS]   a master of Redis dies in the middle of a sale, with Sentinels and as a cluster
#                                         (3 rounds of each); prints how long nothing was sold and what was lost
#   scripts/long.sh cluster [ROUNDS]      accidents of nodes, and sales over three of them while each is restarted,
#                                         dies, stands still or is cut off from Redis
#                                         (5 rounds, ten times as many shoppers as in the CI)
#
# Needs redis-server and redis-cli.
set -euo pipefail
cd "$(dirname "$0")/.."

long_durability() {
  local one failed=0
  export KILL_ROUNDS=${1:-200} RECOVERY_ROUNDS=${1:-200}
  cargo test --test durability --no-run
  for one in kill_embedded_window kill_embedded_durable kill_redis_window kill_redis_durable kill_embedded_booked kill_redis_booked \
    a_crash_while; do
    echo "== $one"
    cargo test -q --test durability "$one" -- --nocapture --test-threads=1 2>&1 \
      | grep -E 'crashes|blows|panicked|must|FAILED|lost' || failed=1
  done
  return $failed
}

long_server() {
  local shards
  ulimit -n "$(ulimit -Hn)"
  for shards in 1 2; do
    CHURN_SHARDS=$shards CHURN_CONNECTIONS=5000 cargo test --release --test server -- --nocapture ten_waves
  done
  DRAIN_CONNECTIONS=10000 cargo test --release --test server -- --nocapture a_crowd_is_dismissed
}

long_hogs() {
  ulimit -n "$(ulimit -Hn)"
  HOGS_FULL=1 cargo test --release --test server -- --nocapture --test-threads=1 every_attack forty_of_each json_of_a_length a_stalled
}

long_topologies() {
  export FAILOVER_ROUNDS=${1:-3}
  cargo test --test durability --no-run
  cargo test -q --test durability topologies -- --nocapture --test-threads=1 2>&1 \
    | grep -E '^(Sentinel|Cluster),|panicked|lost|FAILED|test result'
}

long_cluster() {
  local round
  export CLUSTER_SCALE=${CLUSTER_SCALE:-10}
  ulimit -n "$(ulimit -Hn)"
  cargo build --bins
  for round in $(seq "${1:-5}"); do
    echo "== round $round"
    cargo test -q --test cluster -- --test-threads=1
    cargo test -q -p loadgen --test nodes -- --test-threads=1
  done
}

name=${1-}
declare -F "long_$name" >/dev/null || { sed -n '2,/^set/p' "$0" | sed -n 's/^# \{0,1\}//p' >&2; exit 64; }
shift
"long_$name" "$@"
