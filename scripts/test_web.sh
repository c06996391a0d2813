#!/usr/bin/env bash
# Tests the web client, the examples and the protocol document: in Chromium, Node and Python, against the real server.
#
# Installs what is missing: Chromium (by apt-get, as root), the Node packages of the lock files, a Python environment
# under target/tools. Settings: BUTACA_BINARY (a binary that is built already), CHROMIUM, WEB_PYTHON. Arguments go to
# `node --test`; without arguments all of tests/browser/ runs.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

tools=$root/target/tools logs=$root/target/test-logs
mkdir -p "$tools" "$logs"
# shellcheck source=scripts/lib/install.sh
source scripts/lib/install.sh
[ -n "${CHROMIUM:-}" ] || need_apt chromium=chromium
CHROMIUM=${CHROMIUM:-$(command -v chromium)}
need_node tests/browser examples/react examples/vue
if [ -z "${WEB_PYTHON:-}" ]; then
  WEB_PYTHON=$tools/venv/bin/python
  "$WEB_PYTHON" -c 'import websockets, flit_core, fastapi, httpx, uvicorn' 2>/dev/null ||
    need_python -r examples/python/requirements.txt -r examples/shop/requirements.txt flit-core
fi

if [ -z "${BUTACA_BINARY:-}" ]; then
  cargo build --locked --quiet --bin butaca
  BUTACA_BINARY=${CARGO_TARGET_DIR:-$root/target}/debug/butaca
fi

export BUTACA_BINARY CHROMIUM WEB_PYTHON
cd tests/browser
exec node --test --test-concurrency=2 --test-reporter=spec "$@"
