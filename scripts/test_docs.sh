#!/usr/bin/env bash
# Proves that the documents name only what there is: settings, series, alerts, commands, files. The links and the code of the
# guides, and the AsyncAPI document, are tested with the web client, since that needs Node.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${BUTACA_BINARY:-target/debug/butaca} loadgen=${LOADGEN_BINARY:-target/debug/loadgen}
cargo build --quiet --workspace --bins
work=$(mktemp -d)
server=''
trap 'kill "$server" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
STORE=memory WEBSOCKET_HOST=127.0.0.1 WEBSOCKET_PORT=0 "$binary" >"$work/server.log" 2>&1 &
server=$!
deadline=$((SECONDS + 60))
until address=$(grep -oE '127\.0\.0\.1:[0-9]+' "$work/server.log" | head -1) && curl -fs "http://$address/metrics" -o "$work/scrape.txt"; do
  [ $SECONDS -lt $deadline ] || { cat "$work/server.log" >&2; exit 1; }
  sleep 0.1
done
python3 scripts/check_docs.py "$binary" "$loadgen" "$work/scrape.txt"
