#!/usr/bin/env bash
# What do ten scrapes of /metrics a second cost? CPU of the server's process, as the kernel counts it, in turns without and
# with scraping; 1,000 connections in 50 rooms, first silent, then with 100 commands a second.
#
#   perf/tools/scrape_cost.sh              two turns of 15 s each way
#   TURNS=4 SECONDS_A_TURN=30 perf/tools/scrape_cost.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

: "${BUTACA_BINARY:=target/release/butaca}" "${LOADGEN_BINARY:=target/release/loadgen}" "${TURNS:=2}" "${SECONDS_A_TURN:=15}"
[ -x "$BUTACA_BINARY" ] && [ -x "$LOADGEN_BINARY" ] || cargo build --release --locked --workspace --bins
work=$(mktemp -d)
pids=()
stop() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  pids=()
}
trap 'stop; rm -rf "$work"' EXIT

measure() { # measure NAME LOADGEN-ARGUMENT...
  local name=$1 port
  shift
  WEBSOCKET_HOST=127.0.0.1 WEBSOCKET_PORT=0 STORE=memory LOG_LEVEL=info MAX_SEATS_PER_CLIENT=0 RATE_MESSAGES_PER_S=0 MAX_CONNECTIONS_PER_IP=0 "$BUTACA_BINARY" >"$work/server.log" 2>&1 &
  pids+=($!)
  until port=$(grep -oE 'ws://127\.0\.0\.1:[0-9]+' "$work/server.log" | head -1 | cut -d: -f3) && [ -n "$port" ]; do sleep 0.1; done
  "$LOADGEN_BINARY" "$1" --url "ws://127.0.0.1:$port" --secs $((2 * TURNS * SECONDS_A_TURN + 10)) --no-stats --quiet "${@:2}" \
    >"$work/loadgen.log" 2>&1 &
  pids+=($!)
  python3 perf/tools/scrape_cost.py "$name" "$port" "${pids[0]}" "$TURNS" "$SECONDS_A_TURN"
  stop
}

measure silent idle --conns 1000 --members 20
measure '100 commands/s' rooms --rooms 50 --members 20 --rate 100
