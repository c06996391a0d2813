#!/usr/bin/env bash
# The heavy tests of the server at their full size, in release: ten waves of 5,000 connections, and an end with 10,000.
# It needs 20,000 open files for each of the two processes (`ulimit -n`).
set -euo pipefail
cd "$(dirname "$0")/.."

ulimit -n "$(ulimit -Hn)"
for shards in 1 2; do
  CHURN_SHARDS=$shards CHURN_CONNECTIONS=5000 cargo test --release --test server -- --nocapture ten_waves
done
DRAIN_CONNECTIONS=10000 cargo test --release --test server -- --nocapture a_crowd_is_dismissed
