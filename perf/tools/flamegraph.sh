#!/usr/bin/env bash
# Profiles the server under a workload of the load generator and writes target/flamegraph.svg.
#
#   perf/tools/flamegraph.sh fanout --rate 400
#   perf/tools/flamegraph.sh rooms --rate 3000 --secs 10
#
# The server runs on CPU 0 with one shard, the generator on CPU 1. perf samples the server from before the first connection
# to the end; kernel frames need root or kernel.perf_event_paranoid <= 1.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ $# -gt 0 ] || { sed -n '2,/^set/p' "$0" | grep '^#' >&2; exit 64; }
command -v perf >/dev/null || { echo "perf is missing: apt-get install linux-perf" >&2; exit 69; }
tools=$PWD/target/tools
export PATH="$tools/bin:$PATH"
command -v inferno-flamegraph >/dev/null || {
  echo "building inferno, which draws the graph"
  cargo install --quiet --locked --root "$tools" inferno --version 0.12.8 --no-default-features --features cli
}

out=target/flamegraph
mkdir -p "$out"
# shellcheck source=scripts/lib/server.sh
source scripts/lib/server.sh
use_binaries release
start_server server SHARDS=1 "${for_load[@]}" taskset -c 0
server=$pid

# Unwinding by the tables of the binary: no build of its own with frame pointers is needed.
perf record --quiet -e cpu-clock -F 997 --call-graph dwarf,8192 -p "$server" -o "$out/perf.data" 2>"$out/perf.log" &
perf=$! && started+=("$perf")
# A run that is void for a late generator is still a profile.
taskset -c "$(($(nproc) > 1 ? 1 : 0))" "$LOADGEN_BINARY" "$@" --url "ws://$address" --server-pid "$server" --quiet || true
kill -INT "$perf" && wait "$perf" || true
[ -s "$out/perf.data" ] || { cat "$out/perf.log" >&2; exit 1; }

perf script --no-inline -i "$out/perf.data" 2>/dev/null | inferno-collapse-perf >"$out/folded" 2>"$out/collapse.log"
inferno-flamegraph --title "butaca: $*" --countname ns <"$out/folded" >target/flamegraph.svg
echo "target/flamegraph.svg: $(awk '{ns += $NF} END {printf "%.2f", ns / 1e9}' "$out/folded") s of the server's CPU"
