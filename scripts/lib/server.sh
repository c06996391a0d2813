# shellcheck shell=bash
# One way for scripts to start a server and to wait for it. What was started ends with the script, and $work goes with it.
#
# Sets $work (a directory for logs), and BUTACA_BINARY and LOADGEN_BINARY unless they are set (use_binaries).

work=$(mktemp -d)
started=()

stop_all() {
  local pid
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  started=()
}
trap 'stop_all; rm -rf "$work"' EXIT

use_binaries() { # use_binaries debug|release: those that the variables name, or those of this build, made when missing.
  : "${BUTACA_BINARY:=$PWD/target/$1/butaca}" "${LOADGEN_BINARY:=$PWD/target/$1/loadgen}"
  [ -x "$BUTACA_BINARY" ] && [ -x "$LOADGEN_BINARY" ] && return
  if [ "$1" = release ]; then cargo build --quiet --release --locked --workspace --bins; else cargo build --quiet --workspace --bins; fi
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

until_true() { # until_true WHAT COMMAND...: fails after a minute, with what was logged.
  local what=$1 deadline=$((SECONDS + 60))
  shift
  until "$@"; do
    [ $SECONDS -lt $deadline ] || { echo "waited a minute for $what" >&2; tail -n 20 "$work"/*.log >&2; exit 1; }
    sleep 0.05
  done
}

spawn() { # spawn LOG COMMAND...: its pid is $pid.
  local log=$work/$1.log
  shift
  : >"$log" # so that whoever looks for its first line finds a file
  "$@" >"$log" 2>&1 &
  pid=$!
  started+=("$pid")
}

has_ended() { ! kill -0 "$pid" 2>/dev/null; }

# Where the server in this log listens; false until it says so. Empty when it has ended instead.
port_in() { grep -oE 'ws://127\.0\.0\.[0-9]+:[0-9]+' "$1" | head -1 | cut -d: -f3 | grep . || has_ended; }

start_server() { # start_server NAME [SETTING=VALUE]... [COMMAND TO RUN IT UNDER]: sets $pid, $port and $address.
  local name=$1
  shift
  spawn "$name" env WEBSOCKET_HOST=127.0.0.1 WEBSOCKET_PORT=0 STORE=memory "$@" "$BUTACA_BINARY"
  until_true 'the server' port_in "$work/$name.log" >/dev/null
  port=$(port_in "$work/$name.log")
  [ -n "$port" ] || { echo "the server ended:" >&2; cat "$work/$name.log" >&2; exit 1; }
  # shellcheck disable=SC2034 # for whoever sources this
  address=127.0.0.1:$port
}

# What a load from one machine needs: it is not what the bounds of a client and of an address are for.
# shellcheck disable=SC2034
for_load=(MAX_SEATS_PER_CLIENT=0 RATE_MESSAGES_PER_S=0 MAX_CONNECTIONS_PER_IP=0)
