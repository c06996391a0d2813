#!/usr/bin/env bash
# Redis with Sentinels and as a cluster of three masters and three replicas, on free ports and in directories of its own:
# in the middle of a sale a master is killed and another takes its place, then the server is killed too. Prints how long
# the failover took, how long nothing was sold, and what was lost, in both modes. Needs redis-server and redis-cli.
#
#   scripts/redis_topologies.sh           3 rounds of each
#   scripts/redis_topologies.sh 10        so many
set -euo pipefail
cd "$(dirname "$0")/.."
export FAILOVER_ROUNDS=${1:-3}
cargo test --test durability --no-run
cargo test -q --test durability topologies -- --nocapture --test-threads=1 2>&1 | grep -E '^(Sentinel|Cluster),|panicked|lost|FAILED|test result'
