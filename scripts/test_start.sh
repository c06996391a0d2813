#!/usr/bin/env bash
# Starts the server with scripts/start_websocket.sh in every way in which it can listen. The script must call it healthy,
# leave it alone, and pass the end on. docker/healthcheck.sh, which both use, must also see what is not healthy.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${BUTACA_BINARY:-target/debug/butaca}
[ -x "$binary" ] || cargo build --quiet --bin butaca
work=$(mktemp -d)
started=()
cleanup() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "test_start: $*" >&2; tail -n 20 "$work"/*.log >&2; exit 1; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

starts() { # starts SETTING...: by the start script; then SIGTERM, and the exit code must be 0.
  local log=$work/start-${#started[@]}.log port pid deadline=$((SECONDS + 60)) code=0
  : >"$log"
  port=$(free_port)
  env STORE=memory SHARDS=1 LOG_LEVEL=off START_TIMEOUT=50 BUTACA_BINARY="$binary" WEBSOCKET_PORT="$port" "$@" \
    scripts/start_websocket.sh --native >"$log" 2>&1 &
  pid=$!
  started+=("$pid")
  until grep -q '^stop ' "$log"; do
    kill -0 "$pid" 2>/dev/null || fail "it ended: $*"
    [ $SECONDS -lt $deadline ] || fail "not healthy: $*"
    sleep 0.05
  done
  kill "$pid"
  wait "$pid" || code=$?
  [ "$code" = 0 ] || fail "exit code $code: $*"
  echo "healthy: $* ($(grep '^health ' "$log" | grep -o 'http.*'))"
}

starts WEBSOCKET_HOST=127.0.0.1
starts WEBSOCKET_HOST=
starts WEBSOCKET_HOST=localhost
starts WEBSOCKET_HOST=127.0.0.2
starts WEBSOCKET_HOST=127.0.0.1 TRUSTED_PROXIES=127.0.0.1
starts WEBSOCKET_HOST=127.0.0.1 TRUSTED_PROXIES=127.0.0.1 PROXY_PROTOCOL=1
starts WEBSOCKET_HOST=127.0.0.1 TRUSTED_PROXIES=10.0.0.0/8 PROXY_PROTOCOL=1
starts WEBSOCKET_HOST=127.0.0.1 TRUSTED_PROXIES=127.0.0.0/8 PROXY_PROTOCOL=1 MAX_CONNECTIONS_PER_IP=1
if grep -q '^00000000000000000000000000000001 ' /proc/net/if_inet6 2>/dev/null; then
  starts WEBSOCKET_HOST=::1
  starts WEBSOCKET_HOST=::
  starts WEBSOCKET_HOST=::1 TRUSTED_PROXIES=::1 PROXY_PROTOCOL=1
else
  echo 'NOT TESTED: this machine has no ::1'
fi

sees() { # sees CODE ANSWER SETTING...: what the health check says.
  local code=$1 answer=$2 said got=0
  shift 2
  said=$(env "$@" bash docker/healthcheck.sh) || got=$?
  { [ "$got" = "$code" ] && [[ $said == *"$answer"* ]]; } || fail "the health check says \"$said\" and ends with $got: $*"
  echo "health check: $said"
}

port=$(free_port)
sees 1 'no answer' WEBSOCKET_PORT="$port"
env SHARDS=1 LOG_LEVEL=off WEBSOCKET_HOST=127.0.0.1 WEBSOCKET_PORT="$port" REDIS_HOST=127.0.0.1 REDIS_PORT=1 \
  DATA_DIR="$work" "$binary" >"$work/waiting.log" 2>&1 &
started+=($!)
deadline=$((SECONDS + 30))
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
  [ $SECONDS -lt $deadline ] || fail 'a server without its store does not listen'
  sleep 0.05
done
sees 1 ' 503 ' WEBSOCKET_PORT="$port"

# Flags win over variables.
other=$(free_port)
env SHARDS=1 LOG_LEVEL=off STORE=memory WEBSOCKET_HOST=127.0.0.1 WEBSOCKET_PORT="$port" TRUSTED_PROXIES=127.0.0.3 \
  "$binary" --websocket-host 127.0.0.3 --websocket-port="$other" --proxy-protocol 1 >"$work/flags.log" 2>&1 &
flagged=$!
started+=("$flagged")
deadline=$((SECONDS + 30))
until SERVER_PID=$flagged bash docker/healthcheck.sh >/dev/null; do
  [ $SECONDS -lt $deadline ] || fail 'a server with flags is not found'
  sleep 0.05
done
sees 0 ' 200 ' SERVER_PID="$flagged" WEBSOCKET_HOST=127.0.0.1 WEBSOCKET_PORT="$port"

code=0
said=$(BUTACA_BINARY=$binary WEBSOCKET_PORT=0 scripts/start_websocket.sh --native 2>&1) || code=$?
{ [ "$code" = 1 ] && [[ $said == *WEBSOCKET_PORT=0* ]]; } || fail "port 0: $said"
echo "port 0: $said"
