#!/usr/bin/env bash
# The Autobahn WebSocket suite against the server's own connection code: a build with the feature `echo` gives the
# messages of clients whose id begins with `echo` back, over the same frames, buffers and sends as everything else. Only
# two bounds are higher in it, since the suite sends 16 MiB in one message and 4 MiB in 65,537 fragments.
#
#   scripts/autobahn.sh            all cases outside 12.* and 13.* (compression, which is never negotiated)
#   scripts/autobahn.sh '9.*'      only these
#
# The same build shows that a panic of one shard ends the whole process: that test runs first.
#
# Passes when no case failed, none was non-strict, and (without an argument) there were 301.
# Environment: SHARDS (default 2), PYTHON2 (a Python 2.7 with virtualenv; default: what pyenv has).
set -euo pipefail
cd "$(dirname "$0")/.."

cases=${1:-'*'}
kept=$PWD/target/autobahn
venv=$PWD/target/tools/autobahn
mkdir -p "$kept"

# --- wstest: Python 2 code ---------------------------------------------------------------------------------------

find_python2() {
  local candidate
  for candidate in "${PYTHON2:-}" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7 "$(command -v python2.7 || true)"; do
    if [ -n "$candidate" ] && [ -x "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
      echo "$candidate"
      return 0
    fi
  done
  echo "missing: a Python 2.7, which the suite is written in; 'pyenv install 2.7.18', or set PYTHON2 to one" >&2
  return 1
}

if [ ! -x "$venv/bin/wstest" ]; then
  python2=$(find_python2)
  if ! "$python2" -m virtualenv --version >/dev/null 2>&1; then
    "$python2" -m pip install -q 'virtualenv<20.22' || {
      echo "missing: virtualenv for $python2; '$python2 -m pip install virtualenv<20.22' failed" >&2
      exit 1
    }
  fi
  "$python2" -m virtualenv -q "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check autobahntestsuite==25.10.1 || {
    echo "missing: the package autobahntestsuite 25.10.1, or what it needs; see the lines above" >&2
    exit 1
  }
fi

# --- the server ---------------------------------------------------------------------------------------------------

cargo test --features echo --test server a_panic_ends_the_process
cargo build --features echo --bin butaca
cp target/debug/butaca "$kept/butaca"
# shellcheck source=scripts/lib/server.sh
source scripts/lib/server.sh
BUTACA_BINARY=$kept/butaca
start_server server SHARDS="${SHARDS:-2}" MAX_MESSAGE_BYTES=16777216 RATE_MESSAGES_PER_S=0 LOG_LEVEL=warn

# --- the suite ----------------------------------------------------------------------------------------------------

rm -rf "$kept/reports"
cat >"$kept/spec.json" <<SPEC
{
  "outdir": "$kept/reports",
  "servers": [{"agent": "butaca", "url": "ws://$address/ws/echo"}],
  "cases": ["$cases"],
  "exclude-cases": ["12.*", "13.*"],
  "exclude-agent-cases": {}
}
SPEC
"$venv/bin/wstest" -m fuzzingclient -s "$kept/spec.json" >"$kept/wstest.log" 2>&1 || {
  tail -20 "$kept/wstest.log" >&2
  exit 1
}
kill -0 "$pid" || { echo "the server ended during the suite" >&2; exit 1; }

python3 - "$kept/reports/index.json" "$cases" <<'PY'
import collections, json, sys

index = json.load(open(sys.argv[1]))["butaca"]
verdicts = collections.Counter(case["behavior"] for case in index.values())
closings = collections.Counter(case["behaviorClose"] for case in index.values())
order = lambda name: [int(part) for part in name.split(".")]
for name in sorted(index, key=order):
    case = index[name]
    if case["behavior"] not in ("OK", "INFORMATIONAL") or case["behaviorClose"] not in ("OK", "INFORMATIONAL"):
        print(f"{name}: {case['behavior']}, closing {case['behaviorClose']}")
print(f"{len(index)} cases: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common()))
print("closing: " + ", ".join(f"{count} {verdict}" for verdict, count in closings.most_common()))
good = set(verdicts) | set(closings) <= {"OK", "INFORMATIONAL"}
if sys.argv[2] == "*" and len(index) != 301:
    print(f"{len(index)} cases instead of 301")
    good = False
print("passed" if good else "FAILED")
sys.exit(not good)
PY
