#!/usr/bin/env bash
# What do ten scrapes of /metrics a second cost? CPU of the server's process, as the kernel counts it, in turns without and
# with scraping; 1,000 connections in 50 rooms, first silent, then with 100 commands a second.
#
#   perf/tools/scrape_cost.sh              two turns of 15 s each way
#   TURNS=4 SECONDS_A_TURN=30 perf/tools/scrape_cost.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

# shellcheck source=scripts/lib/server.sh
source scripts/lib/server.sh
: "${TURNS:=2}" "${SECONDS_A_TURN:=15}"
use_binaries release

measure() { # measure NAME LOADGEN-ARGUMENT...
  local name=$1 server
  shift
  start_server server LOG_LEVEL=info "${for_load[@]}"
  server=$pid
  spawn loadgen "$LOADGEN_BINARY" "$1" --url "ws://$address" --secs $((2 * TURNS * SECONDS_A_TURN + 10)) --no-stats --quiet "${@:2}"
  python3 perf/tools/scrape_cost.py "$name" "$port" "$server" "$TURNS" "$SECONDS_A_TURN"
  stop_all
}

measure silent idle --conns 1000 --members 20
measure '100 commands/s' rooms --rooms 50 --members 20 --rate 100
