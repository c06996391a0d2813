#!/usr/bin/env bash
# Runs the examples of examples/proxy with the real nginx and HAProxy on free ports and talks to the server through them.
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

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
until_true() { # until_true WHAT COMMAND...: fails after a minute.
  local what=$1 deadline=$((SECONDS + 60))
  shift
  until "$@"; do
    [ $SECONDS -lt $deadline ] || { echo "waited a minute for $what" >&2; tail -20 "$work"/*.log >&2; exit 1; }
    sleep 0.1
  done
}
server_port() { grep -oE '127\.0\.0\.1:[0-9]+' "$1" 2>/dev/null | head -1 | cut -d: -f2 | grep .; }
start_server() { # start_server NAME SETTING...: its port ends up in $port.
  local log=$work/$1.log
  shift
  env STORE=memory SHARDS=2 WEBSOCKET_HOST=127.0.0.1 WEBSOCKET_PORT=0 MAX_CONNECTIONS_PER_IP=2 \
    TRUSTED_PROXIES=127.0.0.1 PING_AFTER_MS=500 "$@" "$binary" >"$log" 2>&1 &
  started+=($!)
  until_true 'the server' server_port "$log" >/dev/null
  port=$(server_port "$log")
}
# Through a proxy that does not serve yet, the request fails or gets a 5xx.
serves() { curl -fs -o /dev/null "http://127.0.0.1:$1/health"; }

echo "--- nginx, X-Forwarded-For"
start_server behind-nginx
front=$(free_port)
mkdir -p "$work/nginx"
{
  echo "daemon off; pid $work/nginx/pid; error_log $work/nginx.log; worker_processes 1; events { worker_connections 256; }"
  echo "http { access_log off; client_body_temp_path $work/nginx; proxy_temp_path $work/nginx; fastcgi_temp_path $work/nginx;"
  echo "uwsgi_temp_path $work/nginx; scgi_temp_path $work/nginx;"
  sed -e "s/127.0.0.1:8001/127.0.0.1:$port/" -e "s/listen 8080/listen 127.0.0.1:$front/" -e 's/ 75s/ 3s/' \
    examples/proxy/nginx.conf
  echo "}"
} >"$work/nginx.conf"
nginx -e "$work/nginx.log" -p "$work/nginx" -c "$work/nginx.conf" &
started+=($!)
until_true 'nginx' serves "$front"
python3 scripts/proxy_check.py "$front" 2

for version in send-proxy-v2 send-proxy; do
  echo "--- HAProxy, PROXY protocol, $version"
  start_server "behind-haproxy-$version" PROXY_PROTOCOL=1
  front=$(free_port)
  sed -e "s/127.0.0.1:8001/127.0.0.1:$port/" -e "s/bind :8080/bind 127.0.0.1:$front/" -e 's/maxconn 200000/maxconn 200/' \
    -e 's/ 75s/ 3s/' -e "s/ send-proxy-v2 / $version /" examples/proxy/haproxy.cfg >"$work/haproxy.cfg"
  haproxy -f "$work/haproxy.cfg" >"$work/haproxy.log" 2>&1 &
  started+=($!)
  until_true 'HAProxy' serves "$front"
  python3 scripts/proxy_check.py "$front" 2
done
