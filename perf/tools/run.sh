#!/usr/bin/env bash
# The whole comparison: servers in turn, round after round, under the shapes of our load generator; one table at the end.
#
#   perf/run.sh                                              this server alone, all shapes, 5 rounds
#   perf/run.sh --rounds 9 --shapes fanout,rooms             only these
#   perf/run.sh --shapes 'fanout --rate 400,rooms --rate 3000'   own lines of loadgen
#   perf/run.sh --shapes sustain --rate-max 51200            the highest rate of fanout whose p99 is below 100 ms
#   perf/run.sh 'other=8104=/path/to/server --port 8104'     against others: NAME=PORT=COMMAND
#   perf/run.sh 'before=0=/path/to/an/older/butaca'          port 0: a butaca, which says what port it got
#
# The server runs on CPU 0 and the generator on CPU 1; every run has a fresh server; the order rotates from round to
# round. The results stay in target/perf-run. Peers must answer GET /health with 200 and speak version 1 of the protocol.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=5
rate_max=25600
shapes='connect,idle,fanout,fanout --rate 400 --secs 4,sustain,rooms --rate 1000 --secs 4,rooms,closed,closed --window 8 --secs 4,contend'
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=$2; shift 2 ;;
    --shapes) shapes=$2; shift 2 ;;
    --rate-max) rate_max=$2; shift 2 ;;
    --*) sed -n '2,/^set/p' "$0" | grep '^#' >&2; exit 64 ;;
    *) break ;;
  esac
done
[ "$(nproc)" -ge 2 ] || { echo "server and generator need a CPU each" >&2; exit 69; }

declare -A lines=(
  [connect]='connect --conns 5000'
  [idle]='idle --conns 15000 --secs 2'
  [fanout]='fanout --rate 100 --secs 4'
  [rooms]='rooms --rate 3000 --secs 4'
  [closed]='closed --window 1 --secs 4'
  [contend]='contend --conns 200 --seats 200'
)
out=target/perf-run
rm -rf "$out" && mkdir -p "$out"
# shellcheck source=scripts/lib/server.sh
source scripts/lib/server.sh
use_binaries release
servers=("butaca=0=$BUTACA_BINARY" "$@")

# One shard, no store, and no limit of seats, since the shapes select more than a person may.
export WEBSOCKET_HOST=127.0.0.1 WEBSOCKET_PORT=0 SHARDS=1 STORE=memory MAX_SEATS_PER_CLIENT=0 LOG_LEVEL=warn
export "${for_load[@]}"
first() { [ "$(id -u)" = 0 ] && echo nice -n -10 || true; }
is_there() { # a butaca says its port, another server listens on the one that it was given
  local said
  if [ "$port" = 0 ]; then
    said=$(port_in "$work/server.log") || return 1
    port=${said:-1} # 1: it has ended
  fi
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || has_ended
}

start() { # start PORT COMMAND: sets pid and port.
  port=$1
  # shellcheck disable=SC2046,SC2086 # commands of several words
  spawn server env PORT="$port" $(first) taskset -c 0 $2
  until_true "$2" is_there
  ! has_ended || { echo "did not start: $2" >&2; cat "$work/server.log" >&2; exit 1; }
}

measure() { # measure SERVER LINE NAME: one fresh server under one line of loadgen.
  local name given command plain='' result="$out/$3.json"
  IFS='=' read -r name given command <<<"$1"
  start "$given" "$command"
  [ "$given" = 0 ] || plain=--plain-v1
  # 3: the generator was late or short of CPU; the table says so.
  # shellcheck disable=SC2086
  $(first) taskset -c 1 "$LOADGEN_BINARY" $2 --url "ws://127.0.0.1:$port" --server-pid $pid --cores 1 \
    --no-audit --no-stats $plain --quiet --json "$result" >"$out/loadgen.log" 2>&1 || echo "$3: $(grep -m1 . "$out/loadgen.log" || true)" >&2
  stop_all
}

sustain() { # sustain SERVER NAME: doubles the rate while it is kept, then halves the gap; keeps the best run.
  local low=0 high=0 rate=100 tries
  for ((tries = 0; tries < 14; tries++)); do
    rm -f "$out/$2.json"
    measure "$1" "fanout --rate $rate --secs 3" "$2" 2>/dev/null
    if [ -e "$out/$2.json" ] && python3 perf/tools/table.py --kept "$out/$2.json"; then
      low=$rate
      mv "$out/$2.json" "$out/best"
      if [ "$high" = 0 ] && [ "$rate" -ge "$rate_max" ]; then break; fi
    else
      high=$rate
    fi
    if [ "$high" = 0 ]; then
      rate=$((rate * 2))
    elif [ $((high * 100)) -lt $((low * 107)) ] || [ "$high" -le 2 ]; then
      break
    else
      rate=$(((low + high) / 2))
    fi
  done
  rm -f "$out/$2.json"
  if [ -e "$out/best" ]; then mv "$out/best" "$out/$2.json"; fi
}

IFS=, read -ra wanted <<<"$shapes"
for shape in "${wanted[@]}"; do
  for ((round = 0; round < rounds; round++)); do
    for ((turn = 0; turn < ${#servers[@]}; turn++)); do
      server=${servers[$(((round + turn) % ${#servers[@]}))]}
      name="${shape// /_}.$round.${server%%=*}"
      if [ "$shape" = sustain ]; then sustain "$server" "$name"; else measure "$server" "${lines[$shape]:-$shape}" "$name"; fi
    done
  done
  echo "$shape: $rounds rounds done" >&2
done
python3 perf/tools/table.py "$out" "${servers[@]%%=*}"
