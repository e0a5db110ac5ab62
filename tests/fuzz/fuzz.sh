#!/bin/bash
# fuzz.sh SECONDS [TARGET…]: fuzzes the targets, or those that are named, one after the other, each for its part of
# SECONDS; building comes on top. What it starts from is the corpus and what earlier runs found, in .rig/fuzz/found. An
# input that breaks a target ends that target's turn and is kept in .rig/fuzz/broken. Fails where there is one.
#
# Runs on the stable compiler: libFuzzer's own hooks are ordinary passes of it. It has to be told the target triple,
# so that what runs while building is compiled without them.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:?how many seconds}
shift
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(ls tests/fuzz/corpus)
each=$((seconds / ${#targets[@]}))
[ "$each" -gt 0 ] || { echo "fuzz.sh: $seconds seconds are too few for ${#targets[@]} targets" >&2; exit 64; }

host=$(rustc -vV | sed -n 's/^host: //p')
folder=${CARGO_TARGET_DIR:-target}/fuzz
flags="-Cpasses=sancov-module"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
  flags="$flags -Cllvm-args=-sanitizer-coverage-$option"
done
RUSTFLAGS="${RUSTFLAGS:-} $flags" cargo build --quiet --locked --profile fuzz --package tollbridge-fuzz \
  --features fuzzer --target "$host" --target-dir "$folder"

failed=0
for target in "${targets[@]}"; do
  found=.rig/fuzz/found/$target broken=.rig/fuzz/broken log=.rig/fuzz/$target.log
  mkdir -p "$found" "$broken"
  code=0
  FUZZ_TARGET=$target "$folder/$host/fuzz/fuzz" "$found" "tests/fuzz/corpus/$target" \
    -max_total_time="$each" -timeout=60 -rss_limit_mb=2048 -max_len=8192 -artifact_prefix="$broken/$target-" \
    -print_final_stats=1 >"$log" 2>&1 || code=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  reached=$(grep -o 'cov: [0-9]*' "$log" | tail -1)
  verdict="kept its properties"
  if [ "$code" -ne 0 ]; then
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
    if [ -n "$input" ] && FUZZ_TARGET=$target "$folder/$host/fuzz/fuzz" "$input" >>"$log" 2>&1; then
      verdict="$verdict; ended early where the machine stood still, the input is fine"
      rm -f "$input"
    else
      failed=1
      verdict="BROKEN; the input is ${input:-unknown}, the rest in $log"
    fi
  fi
  printf '%-18s %5s s  %10s runs  %-12s %5s inputs  %s\n' "$target" "$each" "${runs:-?}" "${reached:-}" \
    "$(find "$found" -type f | wc -l)" "$verdict"
done
exit "$failed"
