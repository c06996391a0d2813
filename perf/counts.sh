#!/usr/bin/env bash
# Counts the instructions of each piece of work in benches/work and compares them with perf/counts.baseline.
#
#   perf/counts.sh                     all of them; fails when one has grown by more than 5 %
#   perf/counts.sh engine.join_leave   only these
#   perf/counts.sh --record            writes the baseline anew: commit it with the change that explains it
#
# A count does not depend on how busy or how fast the machine is. It does depend on the compiler and, a little, on the C
# library's choice of routines for the CPU: the baseline names what it was recorded with.
set -euo pipefail
cd "$(dirname "$0")/.."

baseline=perf/counts.baseline
out=target/counts
times=50
grown_percent=5

record=no
[ "${1:-}" = --record ] && { record=yes; shift; }
command -v valgrind >/dev/null || { echo "valgrind is missing: apt-get install valgrind" >&2; exit 69; }
mkdir -p "$out"

echo "building the benchmark"
build=$(cargo bench --locked --bench counts --no-run 2>&1) || { echo "$build" >&2; exit 1; }
program=$(sed -n 's/^ *Executable benches\/counts.rs (\(.*\))$/\1/p' <<<"$build")
[ -x "$program" ] || { echo "cargo did not say where the benchmark is:"$'\n'"$build" >&2; exit 1; }
made_with="$(rustc --version | cut -d' ' -f1,2), $(valgrind --version), $(getconf GNU_LIBC_VERSION), $(uname -m)"

count() { # count NAME: prints the name and the instructions of one repetition.
  # An empty environment: its length moves the stack, and with it the alignment of what is copied.
  env -i valgrind --tool=callgrind --callgrind-out-file="$out/$1.out" --collect-atstart=no \
    --toggle-collect='*counts*counted*' "$program" "$1" "$times" >"$out/$1.log" 2>&1 \
    || { cat "$out/$1.log" >&2; return 1; }
  awk -v name="$1" -v times="$times" '/^totals:/ { printf "%-50s %10d\n", name, $2 / times }' "$out/$1.out"
}
export -f count
export out times program

names=$({ [ $# -gt 0 ] && printf '%s\n' "$@" || "$program"; })
xargs -P "$(nproc)" -I NAME bash -c 'count NAME' <<<"$names" | sort >"$out/counted"
[ "$(wc -l <"$out/counted")" = "$(wc -l <<<"$names")" ] || { echo "not everything could be counted" >&2; exit 1; }

if [ $record = yes ]; then
  [ $# = 0 ] || { echo "--record takes everything" >&2; exit 64; }
  { echo "# Instructions of one repetition; perf/counts.sh --record. Made with $made_with."; cat "$out/counted"; } >"$baseline"
  echo "recorded $(wc -l <"$out/counted") counts in $baseline"
  exit 0
fi

grep -qF "$made_with" "$baseline" || echo "note: counted with $made_with; the baseline: $(head -1 "$baseline")"
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
