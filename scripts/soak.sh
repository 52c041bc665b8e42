#!/usr/bin/env bash
# Long forms: properties with 20 times the cases, long fuzzing, large builds, kills, many seeds, and a tab asleep. Over an
# hour. All stages run, whatever becomes of one. SEED=N goes other ways than the last time; FUZZ_SECONDS=N is for each
# target.
set -uo pipefail
cd "$(dirname "$0")/.."
export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}"
seed="${SEED:-1}"
fuzz_seconds="${FUZZ_SECONDS:-180}"
target="${CARGO_TARGET_DIR:-target}"
# Proptest's own number is 256.
export PROPTEST_CASES=5120

lines=()
failed=0
not_run=0
stage() { # NAME COMMAND...
    local name=$1 start=$SECONDS verdict=ok code=0
    shift
    printf '\n== %s\n' "$name"
    "$@" || code=$?
    case $code in
        0) ;;
        3) verdict="NOT RUN" not_run=$((not_run + 1)) ;;
        *) verdict=FAILED failed=$((failed + 1)) ;;
    esac
    lines+=("$(printf '%6d s  %-8s %s' $((SECONDS - start)) "$verdict" "$name")")
}

figures() {
    "$target/release/freshet-loadtest" figures --out "$target/figures" --seed "$seed" "$@"
}

tab_asleep() (
    bin=$(realpath "$target/release")
    cd browser-sdk
    npm ci --no-audit --no-fund --silent
    ASLEEP_S=60 FRESHET_BIN_DIR=$bin npm run --silent lab -- viewer
)

echo "soak: SEED=$seed"
stage "programs (release)" cargo build --release --locked --workspace --bins
stage "properties, $PROPTEST_CASES cases each" \
    cargo test --release --locked --quiet -p freshet-protocol -p freshet-swarm -p freshet-tracker
stage "fuzzing, $fuzz_seconds s a target" scripts/fuzz.sh "$fuzz_seconds"
stage "2000 power cuts, and 200 kills of updates" \
    env FRESHET_SEED="$seed" FRESHET_POWER_CUTS=2000 FRESHET_KILLS=200 \
    cargo test --release --locked --quiet -p freshet-edge-node --test main power
stage "kills, survival, and 50 seeds of each crowd" figures --soak
stage "large builds" figures memory large wire --runs 5
stage "a tab that sleeps for a minute" tab_asleep
stage "crowds, ten runs" figures flash-offload flash-speed flash-poor-origin --runs 10

printf '\n'
printf '%s\n' "${lines[@]}"
printf '%6d s  in all: %d failed, %d not run\n' "$SECONDS" "$failed" "$not_run"
if [ "$failed" -gt 0 ]; then exit 1; fi
if [ "$not_run" -gt 0 ] && [ "${CI:-}" = true ]; then exit 1; fi
