#!/usr/bin/env bash
# Proves that the documents name only what there is: settings, series, alerts, commands, files. The links and the code of the
# guides, and the AsyncAPI document, are tested with the web client, since that needs Node.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/lib/server.sh
source scripts/lib/server.sh
[ -n "${BUTACA_BINARY:-}" ] || cargo build --quiet --workspace --bins
use_binaries debug
start_server server
until_true 'the first scrape' curl -fs "http://$address/metrics" -o "$work/scrape.txt"
python3 scripts/check_docs.py "$BUTACA_BINARY" "$LOADGEN_BINARY" "$work/scrape.txt"
