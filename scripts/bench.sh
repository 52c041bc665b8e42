#!/usr/bin/env bash
# Measures every promised figure with release builds and prints the table; files go to target/figures. Arguments go on to
# `freshet-loadtest figures`: names of figures, --runs N, --seed N.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}"
target="${CARGO_TARGET_DIR:-target}"

cargo build --release --locked --workspace --bins
exec "$target/release/freshet-loadtest" figures --out "$target/figures" "$@"
