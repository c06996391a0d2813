#!/usr/bin/env bash
# Counts the instructions of each piece of work in benches/src and compares them with perf/counts.baseline.
#
#   perf/counts.sh                     those whose layer has changed since the record; fails when one grew by more than 5 %
#   perf/counts.sh full                all of them
#   perf/counts.sh engine.join_leave   only these
#   perf/counts.sh --record            all of them, and writes the baseline anew: commit it with the change that explains it
#
# A count does not depend on how busy or how fast the machine is. It does depend on the compiler and, a little, on the C
# library's choice of routines for the CPU: the baseline names what it was recorded with. It also has, for each layer, a
# hash of the sources that it was counted from, without their comments: what has not changed need not be counted.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Code that clippy compiles is not what is shipped.
unset RUSTC_WORKSPACE_WRAPPER

baseline=perf/counts.baseline
target=${CARGO_TARGET_DIR:-target}
out=$target/counts
times=50
grown_percent=5

# What a layer's work runs: the layer itself and what it stands on.
engine='src/limits.rs src/limits src/planted.rs src/engine benches/src/lib.rs benches/src/bin'
wire="$engine src/wire"
declare -A sources=(
  [engine]="$engine benches/src/engine.rs"
  [layout]="src/limits.rs src/limits src/layout src/engine/ids.rs benches/src/lib.rs benches/src/bin benches/src/layout.rs"
  [deadlines]="$engine benches/src/deadlines.rs"
  [message]="$wire benches/src/message.rs"
  [frame]="$wire benches/src/frame.rs"
  [audience]="$wire src/audience benches/src/audience.rs"
  [batch]="$engine src/persist/batch.rs src/persist/record benches/src/batch.rs"
  [node]="$wire src/audience src/persist src/slots.rs src/figures src/node benches/src/node.rs"
)
# The crates whose code is in those layers, and how everything is compiled.
crates='hashbrown|httparse|itoa|memchr|percent-encoding|serde|serde_json|simd-json|siphasher|tungstenite'

hash_of() { # hash_of LAYER
  # shellcheck disable=SC2086 # several paths
  {
    find ${sources[$1]} -name '*.rs' | LC_ALL=C sort | xargs sed -E '/^ *\/\//d'
    sed -n '/^\[profile.release\]/,/^$/p' Cargo.toml
    grep -A1 -E "^name = \"($crates)\"$" Cargo.lock
  } | sha256sum | cut -c1-16
}

changed_layers() {
  local layer
  for layer in "${!sources[@]}"; do
    grep -qxF "# $layer $(hash_of "$layer")" "$baseline" || echo "$layer"
  done | sort
}

command -v valgrind >/dev/null || { echo "valgrind is missing: apt-get install valgrind" >&2; exit 69; }
made_with="$(rustc --version | cut -d' ' -f1,2), $(valgrind --version), $(getconf GNU_LIBC_VERSION), $(uname -m)"

what=${1:-changed}
if [ "$what" = changed ]; then
  layers=$(changed_layers)
  grep -qF "$made_with" "$baseline" || { echo "note: this is $made_with; the baseline: $(head -1 "$baseline")"; layers=${!sources[*]}; }
  [ -n "$layers" ] || { echo "no layer has changed since its record: nothing to count"; exit 0; }
  # shellcheck disable=SC2086 # several words
  echo "counting what has changed:" $layers
fi

echo "building the pieces of work as the server is released"
cargo build --quiet --release --locked --package benches --bin counts
mkdir -p "$out"
# Symbols are all that is needed; valgrind would read the rest again for each piece of work.
strip --strip-debug -o "$out/program" "$target/release/counts"

case $what in
  changed) names=$("$out/program" | grep -E "^($(xargs <<<"$layers" | tr ' ' '|'))\.") ;;
  full | --record) names=$("$out/program") ;;
  *) names=$(printf '%s\n' "$@") ;;
esac

count() { # count NAME: prints the name and the instructions of one repetition.
  # An empty environment: its length moves the stack, and with it the alignment of what is copied.
  env -i valgrind --tool=callgrind --callgrind-out-file="$out/$1.out" --collect-atstart=no \
    --toggle-collect='*counts*counted*' "$out/program" "$1" "$times" >"$out/$1.log" 2>&1 \
    || { cat "$out/$1.log" >&2; return 1; }
  awk -v name="$1" -v times="$times" '/^totals:/ { printf "%-50s %10d\n", name, $2 / times }' "$out/$1.out"
}
export -f count
export out times

xargs -P "$(nproc)" -I NAME bash -c 'count NAME' <<<"$names" | LC_ALL=C sort >"$out/counted"
[ "$(wc -l <"$out/counted")" = "$(wc -l <<<"$names")" ] || { echo "not everything could be counted" >&2; exit 1; }

if [ "$what" = --record ]; then
  {
    echo "# Instructions of one repetition, and a hash of each layer's sources; perf/counts.sh --record. Made with $made_with."
    for layer in "${!sources[@]}"; do echo "# $layer $(hash_of "$layer")"; done | LC_ALL=C sort
    cat "$out/counted"
  } >"$baseline.new"
  mv "$baseline.new" "$baseline"
  echo "recorded $(wc -l <"$out/counted") counts in $baseline"
  exit 0
fi

awk -v percent=$grown_percent '
  /^#/ { next }
  NR == FNR { was[$1] = $2; next }
  !($1 in was) { printf "%-50s %10d  is not in the baseline: record it\n", $1, $2; bad++; next }
  {
    change = ($2 - was[$1]) * 100 / was[$1]
    grown = change > percent
    bad += grown
    printf "%-50s %10d %10d %+7.1f %%%s\n", $1, was[$1], $2, change, grown ? "  GROWN" : change < -percent ? "  smaller: record it" : ""
  }
  END { if (bad) { printf "%d of them grew by more than %d %% or are new\n", bad, percent; exit 1 } }
' "$baseline" "$out/counted"
