#!/bin/sh
# A server with a store, for perf/tools/store_cost.sh: MODE SERVER. Each start has a namespace and a directory of its own.
set -e
mode=$1 server=$2
DATA_DIR=$(mktemp -d "${STORE_COST_DIR:?}/data.XXXXXX")
export DATA_DIR
case $mode in
  redis-window) export STORE=redis DURABILITY=window REDIS_NAMESPACE="run$$" ;;
  redis-durable) export STORE=redis DURABILITY=durable REDIS_NAMESPACE="run$$" ;;
  embedded-window) export STORE=embedded DURABILITY=window ;;
  embedded-durable) export STORE=embedded DURABILITY=durable ;;
esac
exec "$server"
