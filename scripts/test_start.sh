#!/usr/bin/env bash
# Starts the server with scripts/start_websocket.sh in every way in which it can listen. The script must call it healthy,
# leave it alone, and pass the end on. docker/healthcheck.sh, which both use, must also see what is not healthy.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/lib/server.sh
source scripts/lib/server.sh
use_binaries debug
fail() { echo "test_start: $*" >&2; tail -n 20 "$work"/*.log >&2; exit 1; }

is_up() { grep -q '^stop ' "$work/$1.log" || has_ended; }

starts() { # starts SETTING...: by the start script; then SIGTERM, and the exit code must be 0.
  local name=start-${#started[@]} port code=0
  port=$(free_port)
  spawn "$name" env STORE=memory SHARDS=1 LOG_LEVEL=off START_TIMEOUT=50 BUTACA_BINARY="$BUTACA_BINARY" \
    WEBSOCKET_PORT="$port" "$@" scripts/start_websocket.sh --native
  until_true "the script to call it healthy: $*" is_up "$name"
  grep -q '^stop ' "$work/$name.log" || fail "it ended: $*"
  kill "$pid"
  wait "$pid" || code=$?
  [ "$code" = 0 ] || fail "exit code $code: $*"
  echo "healthy: $* ($(grep '^health ' "$work/$name.log" | grep -o 'http.*'))"
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
spawn waiting env SHARDS=1 LOG_LEVEL=off WEBSOCKET_HOST=127.0.0.1 WEBSOCKET_PORT="$port" REDIS_HOST=127.0.0.1 REDIS_PORT=1 \
  DATA_DIR="$work" "$BUTACA_BINARY"
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
until_true 'a server without its store to listen' listens
sees 1 ' 503 ' WEBSOCKET_PORT="$port"

# Flags win over variables.
other=$(free_port)
spawn flags env SHARDS=1 LOG_LEVEL=off STORE=memory WEBSOCKET_HOST=127.0.0.1 WEBSOCKET_PORT="$port" TRUSTED_PROXIES=127.0.0.3 \
  "$BUTACA_BINARY" --websocket-host 127.0.0.3 --websocket-port="$other" --proxy-protocol 1
flagged=$pid
is_found() { SERVER_PID=$flagged bash docker/healthcheck.sh >/dev/null; }
until_true 'a server with flags to be found' is_found
sees 0 ' 200 ' SERVER_PID="$flagged" WEBSOCKET_HOST=127.0.0.1 WEBSOCKET_PORT="$port"

code=0
said=$(BUTACA_BINARY=$BUTACA_BINARY WEBSOCKET_PORT=0 scripts/start_websocket.sh --native 2>&1) || code=$?
{ [ "$code" = 1 ] && [[ $said == *WEBSOCKET_PORT=0* ]]; } || fail "port 0: $said"
echo "port 0: $said"
