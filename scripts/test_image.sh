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

python3 - "$work/without.json" <<'END'
import json, sys
profile = json.load(open("docker/seccomp.json"))
for rule in profile["syscalls"]:
    rule["names"] = [name for name in rule["names"] if not name.startswith("io_uring_")]
profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]]
json.dump(profile, open(sys.argv[1], "w"))
END
serves() { # serves OPTIONS: in a container of this project's name, until it is healthy.
  docker run -d --name "$project" "${hardened[@]}" -v /data "$@" "$IMAGE" >/dev/null
  local deadline=$((SECONDS + 60))
  until docker exec "$project" healthcheck 2>/dev/null; do
    [ $SECONDS -lt $deadline ] || { docker logs "$project"; fail 'not healthy within a minute'; }
    sleep 0.2
  done
}
on_threads() { # on_threads WORD OPTIONS: serves on plain threads and says why in one line with this word.
  local why=$1
  serves "${@:2}"
  docker logs "$project" 2>&1 | grep 'plain threads' >"$work/out" || true
  cat "$work/out"
  if [ "$(wc -l <"$work/out")" != 1 ] || ! grep -q "$why" "$work/out"; then fail 'it does not say why it runs on threads'; fi
  docker rm -f "$project" >/dev/null
}

say "with Docker's own profile: healthy"
serves
docker rm -f "$project" >/dev/null

say 'without io_uring in the profile, as Docker 25 and later do by default: on plain threads'
on_threads docker/seccomp.json --security-opt "seccomp=$work/without.json"

say 'too little locked memory: on plain threads'
on_threads memlock --ulimit memlock=65536 --security-opt seccomp=docker/seccomp.json

say 'where glommio is demanded: one line and exit code 71'
code=0
docker run --rm "${hardened[@]}" --security-opt "seccomp=$work/without.json" -e STORE=memory -e RUNTIME=glommio "$IMAGE" >"$work/out" 2>&1 || code=$?
refused_in_one_line $code "$work/out" docker/seccomp.json

say 'with the profile, read-only, without capabilities: healthy, and gone in good order'
serves --security-opt seccomp=docker/seccomp.json
docker logs "$project" 2>&1 | sed -n 1,9p
docker logs "$project" 2>&1 | grep WARN && fail 'a start in good order warns of nothing'
docker exec "$project" sh -c 'id -u; touch /usr/local/bin/x 2>&1 || true'
docker stop -t 10 "$project" >/dev/null
[ "$(docker inspect -f '{{.State.ExitCode}}' "$project")" = 0 ] || fail 'the stop was not clean'

say 'compose: server and Redis, healthy'
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
WEBSOCKET_PORT=$(free_port) REDIS_PORT_OUTSIDE=$(free_port) BUTACA_TAG=${IMAGE#*:} REDIS_PASSWORD=secret-$$
NOFILE=${NOFILE:-$(ulimit -Hn)} # where the machine grants less than the compose file asks for
export WEBSOCKET_PORT REDIS_PORT_OUTSIDE BUTACA_TAG REDIS_PASSWORD NOFILE
begun=$SECONDS
"${compose[@]}" -p "$project" up -d --no-build
until curl -fs "http://127.0.0.1:$WEBSOCKET_PORT/health"; do
  [ $SECONDS -lt $((begun + 120)) ] || { "${compose[@]}" -p "$project" logs; fail 'not healthy within two minutes'; }
  sleep 0.2
done
echo
curl -fs "http://127.0.0.1:$WEBSOCKET_PORT/metrics" | grep -E '^(butaca_serving|butaca_store_connected|butaca_connections_max)'
wait_for_health() { # wait_for_health SERVICE: by its own health check.
  local id
  id=$("${compose[@]}" -p "$project" ps -q "$1")
  until [ "$(docker inspect -f '{{.State.Health.Status}}' "$id")" = healthy ]; do
    [ $SECONDS -lt $((begun + 120)) ] || fail "$1 is not healthy: $(docker inspect -f '{{json .State.Health}}' "$id")"
    sleep 0.5
  done
}
wait_for_health redis
wait_for_health websocket
"${compose[@]}" -p "$project" ps

say 'compose: Redis wants the password, keeps an append-only file, and a hold outlives a restart of everything'
redis() { "${compose[@]}" -p "$project" exec -T redis sh -c "$1"; }
redis 'redis-cli get x' | grep NOAUTH || fail 'Redis answers without its password'
# shellcheck disable=SC2016
redis 'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli config get appendonly' | grep -x yes || fail 'there is no append-only file'
export PYTHONPATH=scripts/lib PYTHONDONTWRITEBYTECODE=1
python3 - "$WEBSOCKET_PORT" "${compose[@]}" -p "$project" <<'END'
import json, subprocess, sys, time, urllib.request
from websocket import Client
port, compose = int(sys.argv[1]), sys.argv[2:]
def redis(command):
    asked = compose + ["exec", "-T", "redis", "sh", "-c", f'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli {command}']
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout
def until_true(what, ask):
    deadline = time.monotonic() + 60
    while not ask():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
def held():
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/room/r/selections", timeout=2) as answer:
            return [selection["seat_id"] for selection in json.load(answer)["selections"]]
    except OSError:
        return None
before = redis("dbsize")
client = Client(port)
client.send({"type": "select_seat", "room_id": "r", "seat_id": "A-1"})
assert client.read()["type"] == "seat_selected"
until_true("Redis has the hold", lambda: redis("dbsize") != before)
# Killed, not stopped, and while the client is still there: nobody could release or save anything.
subprocess.run(compose + ["kill", "websocket", "redis"], check=True, capture_output=True)
assert held() is None
subprocess.run(compose + ["up", "-d", "--no-build"], check=True, capture_output=True)
until_true("the server answers again", lambda: held() is not None)
assert held() == ["A-1"], held()
print("the hold is back after both were killed")
END
say 'all passed'
