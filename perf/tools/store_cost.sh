#!/usr/bin/env bash
# What a store costs: the server's CPU and latency with each of them beside STORE=memory, in interleaved rounds, and what
# the store thread manages by itself. The figures are in store_cost.md. Needs redis-server and two CPUs.
#
#   perf/tools/store_cost.sh [ROUNDS]    results as JSON stay in target/perf-run and target/perf-store
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-7}
cargo build --release --locked --workspace --bins
cargo bench -p benches --bench store --no-run

rm -rf target/perf-store
STORE_COST_DIR=$(mktemp -d)
export STORE_COST_DIR
redis=
trap 'if [ -n "$redis" ]; then kill "$redis"; wait "$redis" || true; fi; rm -rf "$STORE_COST_DIR"' EXIT
# A unix socket: no port to find. Redis shares the generator's CPU, so that the server has its own.
taskset -c 1 redis-server --port 0 --unixsocket "$STORE_COST_DIR/redis.sock" --dir "$STORE_COST_DIR" --save '' \
  --appendonly yes --appendfsync everysec >"$STORE_COST_DIR/redis.log" &
redis=$!
export REDIS_URL="unix://$STORE_COST_DIR/redis.sock"
until [ -S "$STORE_COST_DIR/redis.sock" ]; do sleep 0.05; done

server=$PWD/target/release/butaca
perf/run.sh --rounds "$rounds" --shapes 'fanout --rate 100 --secs 4,contend --conns 200 --seats 200' \
  "redis=0=perf/tools/store_server.sh redis-window $server"
cp -r target/perf-run target/perf-store
perf/run.sh --rounds "$rounds" --shapes 'rooms --rate 300 --secs 3' \
  "redis=0=perf/tools/store_server.sh redis-window $server" \
  "redis-durable=0=perf/tools/store_server.sh redis-durable $server" \
  "embedded-durable=0=perf/tools/store_server.sh embedded-durable $server"
cargo bench -q -p benches --bench store
