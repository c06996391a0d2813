#!/bin/bash
# Asks /health on this machine and ends with 0 when the answer is 200. Needs nothing but bash.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/${WEBSOCKET_PORT:-8001}"
printf 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
IFS= read -r -t 2 status <&3
[[ $status == 'HTTP/1.1 200 '* ]]
