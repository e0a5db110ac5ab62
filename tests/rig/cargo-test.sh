#!/bin/bash
# `cargo test` with these arguments, then one line with the sum over all test binaries: "N passed, N failed".
# Fails where cargo fails, and where not a single test ran: a filter that matches nothing proves nothing.
set -uo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
runner="target.'cfg(all())'.runner = '$(cd "$(dirname "$0")" && pwd)/runner.sh'"
cargo test --locked --workspace --no-fail-fast --config "$runner" "$@" 2>&1 | tee "$log"
status=$?
awk '/^test result: / { passed += $4; failed += $6 }
     END { printf "\n%d passed, %d failed\n", passed, failed; exit !passed }' "$log" || status=1
exit "$status"
