#!/bin/bash
# Asks /health of the server on this machine, prints the status line of the answer, and ends with 0 when it is 200.
#
# It asks where the settings say that the server listens (WEBSOCKET_HOST, WEBSOCKET_PORT), and with PROXY_PROTOCOL=1 like a
# proxy that speaks for itself. Flags of the server, which is process SERVER_PID (in a container 1), win over variables, as
# they do there. Needs nothing but bash. The image and scripts/start_websocket.sh use it.
set -uo pipefail

words=()
mapfile -d '' words 2>/dev/null <"/proc/${SERVER_PID:-1}/cmdline" || true
case ${words[0]:-} in *butaca) ;; *) words=() ;; esac

setting() { # setting FLAG VARIABLE DEFAULT
  local value=${!2:-$3} index
  for index in "${!words[@]}"; do
    case ${words[index]} in
      "$1") value=${words[index + 1]:-} ;;
      "$1="*) value=${words[index]#*=} ;;
    esac
  done
  printf '%s' "$value"
}

host=$(setting --websocket-host WEBSOCKET_HOST 0.0.0.0)
port=$(setting --websocket-port WEBSOCKET_PORT 8001)
case $host in
  0.0.0.0 | localhost) addresses=(127.0.0.1) ;;
  # A server at :: is reached by IPv4 as well, also where a container has no ::1.
  ::) addresses=(::1 127.0.0.1) ;;
  *) addresses=("$host") ;;
esac
# The header is a must from an address in TRUSTED_PROXIES and forbidden to others: the answer to the wrong one is 400.
case $(setting --proxy-protocol PROXY_PROTOCOL 0) in
  1) preambles=($'PROXY UNKNOWN\r\n' '') ;;
  *) preambles=('') ;;
esac

ask() { # ask ADDRESS PREAMBLE: prints the status line, or nothing when there is none within 2 s.
  (
    exec 3<>"/dev/tcp/$1/$port" || exit 1
    printf '%sGET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
    IFS= read -r -t 2 status <&3 && printf '%s' "${status%$'\r'}"
  ) 2>/dev/null
}

last=''
for address in "${addresses[@]}"; do
  for preamble in "${preambles[@]}"; do
    status=$(ask "$address" "$preamble") || status=''
    [ -z "$status" ] || last=$status
    case $status in 'HTTP/1.1 200 '*) printf '%s\n' "$status"; exit 0 ;; esac
  done
done
printf '%s\n' "${last:-no answer}"
exit 1
