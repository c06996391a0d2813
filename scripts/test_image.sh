#!/usr/bin/env bash
# Runs the image and the compose file for real. Needs a docker daemon and the base images, so it is no part of CI.
#   scripts/test_image.sh            builds first
#   IMAGE=butaca:local scripts/test_image.sh
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${IMAGE:-}" ]; then
  IMAGE=butaca:local
  read -ra build_args <<<"${BUILD_ARGS:-}"
  docker build -t "$IMAGE" "${build_args[@]+"${build_args[@]}"}" .
fi
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
work=$(mktemp -d)
project=butaca-test-$$
cleanup() {
  docker rm -f "$project" >/dev/null 2>&1 || true
  "${compose[@]}" -p "$project" down -v >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
say() { echo "--- $*"; }
refused_in_one_line() { # refused_in_one_line CODE OUTPUT WORD
  cat "$2"
  if [ "$1" != 71 ] || [ "$(wc -l <"$2")" != 1 ] || ! grep -q "$3" "$2"; then fail "exit code $1"; fi
}
fail() { echo "test_image: $*" >&2; exit 1; }
hardened=(--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --network none --ulimit memlock=8388608)

say "the image: $(docker image inspect -f '{{.Size}}' "$IMAGE" | awk '{printf "%.1f MB", $1 / 1e6}'), user $(docker image inspect -f '{{.Config.User}}' "$IMAGE")"

say 'without io_uring in the profile, as Docker 25 and later do by default: one line and exit code 71'
python3 - "$work/without.json" <<'END'
import json, sys
profile = json.load(open("docker/seccomp.json"))
for rule in profile["syscalls"]:
    rule["names"] = [name for name in rule["names"] if not name.startswith("io_uring_")]
profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]]
json.dump(profile, open(sys.argv[1], "w"))
END
code=0
docker run --rm "${hardened[@]}" --security-opt "seccomp=$work/without.json" -e STORE=memory "$IMAGE" >"$work/out" 2>&1 || code=$?
refused_in_one_line $code "$work/out" docker/seccomp.json

say 'too little locked memory: one line and exit code 71'
code=0
docker run --rm "${hardened[@]}" --ulimit memlock=65536 --security-opt seccomp=docker/seccomp.json "$IMAGE" >"$work/out" 2>&1 || code=$?
refused_in_one_line $code "$work/out" memlock

say 'with the profile, read-only, without capabilities: healthy, and gone in good order'
docker run -d --name "$project" "${hardened[@]}" --security-opt seccomp=docker/seccomp.json -v /data "$IMAGE" >/dev/null
deadline=$((SECONDS + 60))
until docker exec "$project" healthcheck 2>/dev/null; do
  [ $SECONDS -lt $deadline ] || { docker logs "$project"; fail 'not healthy within a minute'; }
  sleep 0.2
done
docker logs "$project" 2>&1 | sed -n 1,9p
docker exec "$project" sh -c 'id -u; touch /usr/local/bin/x 2>&1 || true'
docker stop -t 10 "$project" >/dev/null
[ "$(docker inspect -f '{{.State.ExitCode}}' "$project")" = 0 ] || fail 'the stop was not clean'

say 'compose: server and Redis, healthy'
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
WEBSOCKET_PORT=$(free_port) REDIS_PORT_OUTSIDE=$(free_port) BUTACA_TAG=${IMAGE#*:}
export WEBSOCKET_PORT REDIS_PORT_OUTSIDE BUTACA_TAG
begun=$SECONDS
"${compose[@]}" -p "$project" up -d --no-build
until curl -fs "http://127.0.0.1:$WEBSOCKET_PORT/health"; do
  [ $SECONDS -lt $((begun + 120)) ] || { "${compose[@]}" -p "$project" logs; fail 'not healthy within two minutes'; }
  sleep 0.2
done
echo
curl -fs "http://127.0.0.1:$WEBSOCKET_PORT/metrics" | grep -E '^(butaca_serving|butaca_store_connected|butaca_connections_max)'
"${compose[@]}" -p "$project" ps
say 'all passed'
