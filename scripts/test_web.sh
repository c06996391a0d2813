#!/usr/bin/env bash
# Tests the web client, the examples and the protocol document: in Chromium, Node and Python, against the real server.
#
# Installs what is missing: Chromium (by apt-get, as root), the Node packages of the lock files, a Python environment
# under target/. Settings: BUTACA_BIN (a binary that is built already), CHROMIUM, WEB_PYTHON. Arguments go to
# `node --test`; without arguments all of tests/browser/ runs.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

if [ -z "${CHROMIUM:-}" ] && ! command -v chromium >/dev/null; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "test_web: chromium is missing; install it or name one by CHROMIUM" >&2
    exit 1
  fi
  echo "test_web: installing chromium"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
fi
CHROMIUM=${CHROMIUM:-$(command -v chromium)}

for folder in tests/browser examples/react examples/vue; do
  stamp=$folder/node_modules/.package-lock.json
  if [ ! -e "$stamp" ] || [ "$folder/package-lock.json" -nt "$stamp" ]; then
    echo "test_web: npm ci in $folder"
    (cd "$folder" && npm ci --silent --no-progress)
  fi
done

if [ -z "${WEB_PYTHON:-}" ]; then
  WEB_PYTHON=$root/target/web-python/bin/python
  if ! "$WEB_PYTHON" -c 'import websockets' 2>/dev/null; then
    echo "test_web: making a Python environment"
    python3 -m venv "$root/target/web-python"
    "$WEB_PYTHON" -m pip install --quiet --disable-pip-version-check -r examples/python/requirements.txt
  fi
fi

if [ -z "${BUTACA_BIN:-}" ]; then
  cargo build --locked --quiet --bin butaca
  BUTACA_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/butaca
fi

export BUTACA_BIN CHROMIUM WEB_PYTHON
cd tests/browser
exec node --test --test-concurrency=1 --test-reporter=spec "$@"
