#!/usr/bin/env bash
# Measures every promised figure with release builds and prints the tables; files go to target/figures. Arguments go on to
# `freshet-loadtest figures`: names of figures, --runs N, --seed N. Without any, browsers are measured too.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}"
target="${CARGO_TARGET_DIR:-target}"

cargo build --release --locked --workspace --bins
missed=0
"$target/release/freshet-loadtest" figures --out "$target/figures" "$@" || missed=$?
if [ $# -eq 0 ]; then
    cargo build --release --locked -p freshet-edge-node --example browser_wire
    bin=$(realpath "$target/release")
    (cd browser-sdk && npm ci --no-audit --no-fund --silent && FRESHET_BIN_DIR=$bin npm run --silent bench) || missed=$?
fi
exit "$missed"
