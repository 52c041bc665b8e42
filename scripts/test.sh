#!/usr/bin/env bash
# Correctness and short forms of everything, stage by stage; the seconds of each stage are printed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}"
target="${CARGO_TARGET_DIR:-target}"

stages=()
stage() { # NAME COMMAND...
    local name=$1 start=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@"
    stages+=("$(printf '%5d s  %s' $((SECONDS - start)) "$name")")
}

sdk() (
    cd browser-sdk
    npm ci --no-audit --no-fund --silent
    npm run --silent lint
    npm run --silent check
    npm test --silent
    npm run --silent test:browser
    npm run --silent build
    npm run --silent size
    npm run --silent api
)

# For debugging, so that sums that overflow are found; in one go, so that all is compiled once. The laboratory runs the
# programs as players have them, since there time matters.
tests() {
    FRESHET_BIN_DIR=$(realpath "$target/release") cargo test --locked --quiet --workspace
}

browsers() (
    bin=$(realpath "$target/release")
    cd browser-sdk
    FRESHET_BIN_DIR=$bin npm run --silent lab
)

dependencies() {
    cargo fetch --locked --quiet
    cargo deny --offline --log-level error check bans licenses sources
}

no_second_provider() {
    # Two TLS providers in one tree panic at run time, so the second one must not even be built.
    if cargo tree --locked --workspace -i aws-lc-rs 2>/dev/null | grep -q .; then
        echo "aws-lc-rs is in the dependency tree; ring is the one provider" >&2
        return 1
    fi
}

stage "format" cargo fmt --all --check
stage "dependencies" dependencies
stage "one TLS provider" no_second_provider
stage "clippy" cargo clippy --locked --workspace --all-targets -- -D warnings
stage "docs" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
stage "programs (release)" cargo build --release --locked -p freshet-origin -p freshet-tracker -p freshet-edge-node
stage "unit, property, vector and end-to-end tests" tests
stage "browser SDK" sdk
stage "browsers" browsers

printf '\n'
printf '%s\n' "${stages[@]}"
printf '%5d s  in all\n' "$SECONDS"
