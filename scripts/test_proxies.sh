#!/usr/bin/env bash
# Runs the examples of examples/proxy with the real nginx and HAProxy on free ports and talks to the server through them.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/lib/server.sh
source scripts/lib/server.sh
use_binaries debug

start_behind() { # start_behind NAME SETTING...
  local name=$1
  shift
  start_server "behind-$name" SHARDS=2 MAX_CONNECTIONS_PER_IP=2 TRUSTED_PROXIES=127.0.0.1 PING_AFTER_MS=500 "$@"
}
# Through a proxy that does not serve yet, the request fails or gets a 5xx.
serves() { curl -fs -o /dev/null "http://127.0.0.1:$1/health"; }

echo "--- nginx, X-Forwarded-For"
start_behind nginx
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
spawn nginx-itself nginx -e "$work/nginx.log" -p "$work/nginx" -c "$work/nginx.conf"
until_true 'nginx' serves "$front"
python3 scripts/proxy_check.py "$front" 2

for version in send-proxy-v2 send-proxy; do
  echo "--- HAProxy, PROXY protocol, $version"
  start_behind "haproxy-$version" PROXY_PROTOCOL=1
  front=$(free_port)
  sed -e "s/127.0.0.1:8001/127.0.0.1:$port/" -e "s/bind :8080/bind 127.0.0.1:$front/" -e 's/maxconn 200000/maxconn 200/' \
    -e 's/ 75s/ 3s/' -e "s/ send-proxy-v2 / $version /" examples/proxy/haproxy.cfg >"$work/haproxy.cfg"
  spawn haproxy haproxy -f "$work/haproxy.cfg"
  until_true 'HAProxy' serves "$front"
  python3 scripts/proxy_check.py "$front" 2
done

# Three servers stand in for three nodes here: what a balancer sees of a node is its /ready and its sockets.
three() { # three SETTING...: their ports are in $ports.
  ports=()
  for node in one two three; do
    start_server "node-$node-$1" SHARDS=1 TRUSTED_PROXIES=127.0.0.1 "${@:2}"
    ports+=("$port")
  done
}
of_nodes() { # of_nodes FILE FRONT: the example with the nodes' ports.
  sed -e "s/node-1:8001/127.0.0.1:${ports[0]}/" -e "s/node-2:8001/127.0.0.1:${ports[1]}/" \
    -e "s/node-3:8001/127.0.0.1:${ports[2]}/" -e "s/bind :8080/bind 127.0.0.1:$2/" \
    -e "s/listen 8080/listen 127.0.0.1:$2/" -e 's/maxconn 400000/maxconn 400/' "$1"
}

echo "--- HAProxy, three nodes"
three haproxy PROXY_PROTOCOL=1
front=$(free_port)
of_nodes examples/proxy/haproxy-cluster.cfg "$front" >"$work/haproxy-cluster.cfg"
spawn haproxy-cluster haproxy -f "$work/haproxy-cluster.cfg"
until_true 'HAProxy' serves "$front"
python3 scripts/proxy_check.py "$front" spread "${ports[@]}"

echo "--- nginx, three nodes"
three nginx
front=$(free_port)
mkdir -p "$work/nginx-cluster"
{
  echo "daemon off; pid $work/nginx-cluster/pid; error_log $work/nginx-cluster.log; worker_processes 1;"
  echo "events { worker_connections 256; }"
  echo "http { access_log off; client_body_temp_path $work/nginx-cluster; proxy_temp_path $work/nginx-cluster;"
  echo "fastcgi_temp_path $work/nginx-cluster; uwsgi_temp_path $work/nginx-cluster; scgi_temp_path $work/nginx-cluster;"
  of_nodes examples/proxy/nginx-cluster.conf "$front"
  echo "}"
} >"$work/nginx-cluster.conf"
spawn nginx-cluster-itself nginx -e "$work/nginx-cluster.log" -p "$work/nginx-cluster" -c "$work/nginx-cluster.conf"
until_true 'nginx' serves "$front"
python3 scripts/proxy_check.py "$front" spread "${ports[@]}"
