#!/usr/bin/env bash
# Proves the monitoring: the rules and their tests, the format of a real scrape and its cost, and that every query of the
# dashboard and of the rules names a series that exists. Needs promtool and prometheus; starts its own servers.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/lib/server.sh
source scripts/lib/server.sh
use_binaries debug

promtool check config monitoring/prometheus.yml
promtool check rules monitoring/rules/*.yml
promtool test rules monitoring/tests/*.yml

start_server server SHARDS=2
until_true 'the first scrape' curl -fs "http://$address/metrics" -o "$work/scrape.txt"
promtool check metrics <"$work/scrape.txt"

# The cost: CPU of the process over 200 scrapes. Ten a second have to stay below 1 % of a core: 1 ms each, as it is shipped.
# A build for tests is hardly optimised, and says nothing about that: its figure is printed only.
case $BUTACA_BINARY in */debug/*) limit_ms=inf ;; *) limit_ms=1 ;; esac
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
port=$(free_port)
spawn prometheus prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" \
  --web.listen-address="127.0.0.1:$port"
scraped() { curl -fs "http://127.0.0.1:$port/api/v1/query?query=up" | grep -q '"1"\]'; }
until_true 'Prometheus to have scraped the server' scraped
scripts/check_series.py --ask "http://127.0.0.1:$port" "$work/scrape.txt" \
  monitoring/grafana/dashboards/*.json monitoring/rules/*.yml
