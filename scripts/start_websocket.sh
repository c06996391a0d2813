#!/usr/bin/env bash
# Starts the seat server on Linux or a Mac and waits until it is healthy.
#
#   scripts/start_websocket.sh                with docker-compose: server and Redis
#   scripts/start_websocket.sh --monitoring   the same with Prometheus and Grafana
#   scripts/start_websocket.sh --native       without containers (Linux): the binary with the embedded store in ./data
#
# WEBSOCKET_PORT (8001) and the other settings are read from the environment. A port that somebody else holds is named
# and left alone. Healthy is what docker/healthcheck.sh calls so; with containers it runs inside, where the server listens.
set -euo pipefail
cd "$(dirname "$0")/.."

port=${WEBSOCKET_PORT:-8001}
mode=compose
profiles=()

fail() { echo "start_websocket: $*" >&2; exit 1; }

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0"; }

for argument in "$@"; do
  case $argument in
    --native) mode=native ;;
    --monitoring) profiles=(--profile monitoring) ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 64 ;;
  esac
done

# Who listens on the port, in words, or nothing when it is free.
holder() {
  local who=''
  if command -v ss >/dev/null; then
    who=$(ss -Hltnp "sport = :$port" 2>/dev/null | sed -nE 's/.*users:\(\("([^"]+)",pid=([0-9]+).*/\1 (pid \2)/p' | head -1)
    [ -n "$who" ] || [ -z "$(ss -Hltn "sport = :$port" 2>/dev/null)" ] || who='a process of another user (try sudo ss -ltnp)'
  elif command -v lsof >/dev/null; then
    who=$(lsof -nP -iTCP:"$port" -sTCP:LISTEN 2>/dev/null | awk 'NR > 1 {print $1 " (pid " $2 ")"}' | head -1 || true)
  elif (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    who='somebody'
  fi
  printf '%s' "$who"
}

require_free_port() {
  local who
  who=$(holder)
  [ -z "$who" ] || fail "port $port is held by $who; end that, or choose another: WEBSOCKET_PORT=9001 $0"
}

print_urls() { # print_urls ADDRESS: where it listens.
  local host=${1#[}
  host=${host%]}
  case $host in
    '' | 0.0.0.0 | ::) host=localhost ;;
    *:*) host="[$host]" ;;
  esac
  echo "sockets  ws://$host:$port/ws/{client_id}"
  echo "page     http://$host:$port/"
  echo "health   http://$host:$port/health"
  echo "numbers  http://$host:$port/stats and /metrics"
  if [ ${#profiles[@]} -gt 0 ]; then
    echo "graphs   http://localhost:${GRAFANA_PORT:-3000}/ (admin, GRAFANA_PASSWORD or admin)"
  fi
}

# What the health check in the container says: starting, healthy, unhealthy; or nothing when there is no container.
container_health() { # container_health COMPOSE...
  local id
  id=$("$@" ps -q websocket 2>/dev/null | head -1) || true
  [ -z "$id" ] || docker inspect -f '{{.State.Health.Status}}' "$id" 2>/dev/null || true
}

wait_for_container() { # wait_for_container COMPOSE...
  local deadline=$((SECONDS + ${START_TIMEOUT:-120})) status=''
  while [ $SECONDS -lt $deadline ]; do
    status=$(container_health "$@")
    [ "$status" != healthy ] || return 0
    sleep 0.5
  done
  "$@" logs --tail 20 websocket >&2 || true
  fail "not healthy within ${START_TIMEOUT:-120} s (the container is ${status:-gone})"
}

start_compose() {
  command -v docker >/dev/null || fail 'docker is missing: https://docs.docker.com/get-docker/, or run with --native'
  docker info >/dev/null 2>&1 || fail 'docker does not answer: is the daemon running, and may you use it (group docker)?'
  local compose
  if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
  elif command -v docker-compose >/dev/null; then
    compose=(docker-compose)
  else
    fail 'docker compose is missing: install the compose plug-in'
  fi
  # When our own server runs already, the port is held by it and `up` only brings it up to date.
  if [ -z "$("${compose[@]}" ps -q websocket 2>/dev/null)" ]; then
    require_free_port
  fi
  "${compose[@]}" "${profiles[@]+"${profiles[@]}"}" up -d --build ||
    fail 'the containers do not start; the reason is above ("rlimit": the host grants fewer open files, say NOFILE=65536)'
  wait_for_container "${compose[@]}"
  print_urls "${WEBSOCKET_BIND:-}"
  echo "stop     ${compose[*]} down"
}

start_native() {
  [ "$(uname -s)" = Linux ] || fail 'the server needs epoll, so --native is for Linux: use docker here'
  [ "$port" != 0 ] || fail 'with WEBSOCKET_PORT=0 the server takes any free port, which this script could not know: name one'
  require_free_port
  local binary=${BUTACA_BINARY:-target/release/butaca}
  if [ ! -x "$binary" ]; then
    command -v cargo >/dev/null || fail "there is no $binary, and no cargo to build it: https://rustup.rs"
    cargo build --release --bin butaca
  fi
  # The server takes this process over, so that signals and its exit code need nobody in between. Who waits for its
  # health is a grandchild: nobody has to collect it.
  (watch_native $$ &)
  STORE=${STORE:-embedded} WEBSOCKET_PORT=$port exec "$binary"
}

# Waits until the server is healthy and says where it listens; ends it when that takes too long.
watch_native() { # watch_native PID
  local deadline=$((SECONDS + ${START_TIMEOUT:-120})) status
  until status=$(SERVER_PID=$1 WEBSOCKET_PORT=$port bash docker/healthcheck.sh); do
    kill -0 "$1" 2>/dev/null || exit 0
    [ $SECONDS -lt $deadline ] || { kill "$1"; fail "not healthy within ${START_TIMEOUT:-120} s (last answer: $status)"; }
    sleep 0.2
  done
  print_urls "${WEBSOCKET_HOST:-}"
  echo "stop     Ctrl-C, or kill $1"
}

start_$mode
