#!/bin/sh
# Runs a test binary. Those that wait for services most of the time run more of their tests side by side than there are
# processors.
case "${1##*/}" in
    e2e-* | cli_reconcile-*) export RUST_TEST_THREADS="${RUST_TEST_THREADS:-6}" ;;
esac
exec "$@"
