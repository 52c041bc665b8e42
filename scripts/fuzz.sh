#!/usr/bin/env bash
# Fuzzes each parser of remote input for SECONDS (default 60): fuzz.sh [SECONDS [TARGET...]]. Starts from the checked-in
# corpus; what it finds on the way is kept in target/fuzz/corpus, and inputs that break a target in
# protocol/fuzz/artifacts. Exit code 3: something that it needs is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-60}"
shift || true

if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
    echo "fuzz: SECONDS must be a number from 1, not '$seconds'" >&2
    exit 2
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "NOT RUN: fuzzing needs cargo-fuzz (cargo install --locked cargo-fuzz)" >&2
    exit 3
fi
if ! command -v g++ >/dev/null 2>&1; then
    echo "NOT RUN: fuzzing needs g++, which builds libFuzzer (apt-get install g++)" >&2
    exit 3
fi

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for file in protocol/fuzz/fuzz_targets/*.rs; do
        targets+=("$(basename "$file" .rs)")
    done
fi

# The sanitizer flags are unstable; this lets the stable compiler take them.
export RUSTC_BOOTSTRAP=1
# An own folder: the workspace's would be built anew each time with other flags.
root="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
unset CARGO_TARGET_DIR
failed=()
for target in "${targets[@]}"; do
    found="$root/corpus/$target"
    log="$root/$target.log"
    mkdir -p "$found"
    if ! cargo fuzz run --fuzz-dir protocol/fuzz --target-dir "$root/build" "$target" \
        "$found" "$PWD/protocol/fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=300000 -timeout=10 >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        failed+=("$target")
    fi
    printf 'fuzz: %-16s %s\n' "$target" "$(grep -E '^(Done|SUMMARY)' "$log" | tail -n 1)"
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'fuzz: %s broke; again: RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir protocol/fuzz %s protocol/fuzz/artifacts/%s/FILE\n' \
        "${failed[*]}" "${failed[0]}" "${failed[0]}" >&2
    exit 1
fi
echo "fuzz: ${#targets[@]} targets, $seconds s each, nothing broke"
