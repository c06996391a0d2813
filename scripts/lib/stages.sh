# shellcheck shell=bash
# Runs stages in lanes, for scripts/test.sh: lanes run side by side, the stages of a lane one after the other.
#
# A stage NAME is a function stage_NAME. `after[NAME]` names the stages that it needs: it waits for them, and is not run
# when one of them failed. What a stage prints goes to $logs/NAME.log and to the terminal in one piece when it is over.
# Its file $logs/NAME.end has the exit code, the wall time and the CPU time of it and of everything that it started.
#
# Needs: $logs. The caller fills `after`, `lanes` (one string a lane) and `chosen` (the stages that are wanted).

: "${logs:?}"
declare -A after
lanes=() chosen=() groups=()

is_chosen() { # is_chosen STAGE
  local one
  for one in "${chosen[@]}"; do [ "$one" != "$1" ] || return 0; done
  return 1
}

# Adds what the chosen stages need, and what that needs.
choose_what_they_need() {
  local stage need count=0
  while [ "$count" != ${#chosen[@]} ]; do
    count=${#chosen[@]}
    for stage in "${chosen[@]}"; do
      for need in ${after[$stage]-}; do is_chosen "$need" || chosen+=("$need"); done
    done
  done
}

run_stage() { # run_stage STAGE: waits for what it needs, runs it, leaves its log and its end.
  local stage=$1 need code=0 log=$logs/$1.log TIMEFORMAT='%R %U %S' took
  for need in ${after[$stage]-}; do
    until [ -e "$logs/$need.end" ]; do sleep 0.1; done
    read -r code _ <"$logs/$need.end"
    if [ "$code" != 0 ]; then
      echo "not run: $need failed" >"$log"
      echo "1 0 0 0" >"$logs/$stage.part"
      break
    fi
  done
  if [ "$code" = 0 ]; then
    took=$({ time { "stage_$stage" >"$log" 2>&1 || code=$?; echo "$code" >"$logs/$stage.part"; }; } 2>&1)
    code=$(<"$logs/$stage.part")
    echo "$code $took" >"$logs/$stage.part"
  fi
  { flock 9; echo "=== $stage"; cat "$log"; } 9>"$logs/.terminal"
  mv "$logs/$stage.part" "$logs/$stage.end"
}

end_lanes() {
  local group
  for group in "${groups[@]}"; do kill -- "-$group" 2>/dev/null; done
}

run_lanes() {
  local lane stage
  rm -f "$logs"/*.end "$logs"/*.part
  # A process group a lane, so that all that it started ends with this script.
  set -m
  for lane in "${lanes[@]}"; do
    for stage in $lane; do
      ! is_chosen "$stage" || run_stage "$stage"
    done </dev/null &
    groups+=($!)
  done
  set +m
  trap 'end_lanes; exit 130' INT TERM HUP
  wait
  trap - INT TERM HUP
}

# Prints the table of the stages and, as the last line, "N passed, N failed": the tests of cargo, and each other stage as
# one. Returns whether none failed.
report_stages() {
  local stage code wall user system ok bad verdict passed=0 failed=0
  echo "=== stages"
  printf '%-12s %-7s %7s %7s\n' stage '' wall CPU
  # shellcheck disable=SC2048 # a lane is several words
  for stage in ${lanes[*]}; do
    is_chosen "$stage" || continue
    read -r code wall user system <"$logs/$stage.end"
    # Counts of cargo test ("12 passed; 0 failed") and of nextest ("12 passed, 1 failed").
    ok=$(grep -oE '[0-9]+ passed' "$logs/$stage.log" | awk '{n += $1} END {print n + 0}')
    bad=$(grep -E 'test result|Summary' "$logs/$stage.log" | grep -oE '[0-9]+ (failed|timed out)' | awk '{n += $1} END {print n + 0}')
    if [ "$code" = 0 ]; then verdict=ok; [ "$ok" != 0 ] || ok=1; else verdict=FAILED; [ "$bad" != 0 ] || bad=1; fi
    passed=$((passed + ok)) failed=$((failed + bad))
    awk -v stage="$stage" -v verdict=$verdict -v wall="$wall" -v user="$user" -v kernel="$system" \
      'BEGIN { printf "%-12s %-7s %5.0f s %5.0f s\n", stage, verdict, wall, user + kernel }'
  done
  printf '%-12s %-7s %5d s\n' all '' $SECONDS
  echo "$passed passed, $failed failed"
  [ $failed = 0 ]
}
