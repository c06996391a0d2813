#!/usr/bin/env bash
# Proves the monitoring: the rules and their tests, the format of a real scrape and its cost, and that every query of the
# dashboard and of the rules names a series that exists. Needs promtool and prometheus; starts its own servers.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${BUTACA_BINARY:-target/debug/butaca}
[ -x "$binary" ] || cargo build --bin butaca
work=$(mktemp -d)
started=()
cleanup() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap cleanup EXIT

until_true() { # until_true WHAT COMMAND...: fails after a minute.
  local what=$1 deadline=$((SECONDS + 60))
  shift
  until "$@"; do
    [ $SECONDS -lt $deadline ] || { echo "waited a minute for $what" >&2; cat "$work"/*.log >&2; exit 1; }
    sleep 0.1
  done
}

promtool check config monitoring/prometheus.yml
promtool check rules monitoring/rules/*.yml
promtool test rules monitoring/tests/*.yml

STORE=memory SHARDS=2 WEBSOCKET_HOST=127.0.0.1 WEBSOCKET_PORT=0 "$binary" >"$work/server.log" 2>&1 &
started+=($!)
server_address() { grep -oE '127\.0\.0\.1:[0-9]+' "$work/server.log" 2>/dev/null | head -1 | grep .; }
until_true 'the server' server_address >/dev/null
address=$(server_address)
until_true 'the first scrape' curl -fs "http://$address/metrics" -o "$work/scrape.txt"
promtool check metrics <"$work/scrape.txt"

# The cost: CPU of the process over 200 scrapes. Ten a second have to stay below 1 % of a core: 1 ms each, as it is shipped.
# A build for tests is hardly optimised, and says nothing about that: its figure is printed only.
case $binary in */debug/*) limit_ms=inf ;; *) limit_ms=1 ;; esac
cpu() { curl -fs "http://$address/metrics" | awk '$1 == "process_cpu_seconds_total" {print $2}'; }
before=$(cpu)
for _ in $(seq 200); do echo "url = http://$address/metrics"; echo "output = /dev/null"; done >"$work/curl.txt"
curl -fs -K "$work/curl.txt"
after=$(cpu)
python3 -c "
spent = ($after - $before) / 201 * 1000
print(f'a scrape costs {spent:.3f} ms of CPU')
raise SystemExit(spent >= float('$limit_ms'))"

sed -e "s/websocket:8001/$address/" -e 's/interval: 5s/interval: 500ms/' -e "s#rules/#$PWD/monitoring/rules/#" \
  monitoring/prometheus.yml >"$work/prometheus.yml"
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port)
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" --web.listen-address="127.0.0.1:$port" \
  >"$work/prometheus.log" 2>&1 &
started+=($!)
scraped() { curl -fs "http://127.0.0.1:$port/api/v1/query?query=up" | grep -q '"1"\]'; }
until_true 'Prometheus to have scraped the server' scraped
scripts/check_series.py --ask "http://127.0.0.1:$port" "$work/scrape.txt" \
  monitoring/grafana/dashboards/*.json monitoring/rules/*.yml
