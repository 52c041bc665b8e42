#!/usr/bin/env bash
# Builds the node and the C library for Windows, and tries under wine what wine can show; docs/TESTING.md says what it
# cannot. Sets itself up in target/windows (Debian 12, root, about 4 GB).
set -euo pipefail

cd "$(dirname "$0")/.."
dir=$(realpath -m "${FRESHET_WINDOWS_DIR:-target/windows}")
target=x86_64-pc-windows-gnu
linux=$(realpath -m "${CARGO_TARGET_DIR:-target}")/release

cargo build --locked --release -p freshet-origin -p freshet-tracker -p freshet-edge-node -p freshet-loadtest
scripts/windows_setup.sh "$dir"

# Each step sees the compiler for Windows, and no other does.
windows() {
    # shellcheck disable=SC1091
    (. "$dir/env" && export CARGO_TARGET_DIR=$dir/target && "$@")
}

echo "== build"
windows cargo build --locked --target "$target" -p freshet-edge-node -p freshet-c-api
echo "== parts of the node"
# The pages that tests play speak by a socket that wine does not have.
windows cargo test --locked --target "$target" -p freshet-edge-node --lib --bins -- --test-threads 2 --skip web_transport
echo "== whole jobs: installs, kills, updates, peers"
windows cargo test --locked --target "$target" -p freshet-edge-node --test main -- --test-threads 2

echo "== from an origin and a peer on Linux"
room=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$room"' EXIT
"$linux/freshet-loadtest" generate "$room/build" --bytes 20000000 >/dev/null
find "$room/build" -type l -delete
"$linux/freshet-tracker" --listen 127.0.0.1:0 --state-dir "$room/tracker" --ready-file "$room/tracker.json" --log warn &
until [ -s "$room/tracker.json" ]; do sleep 0.1; done
tracker=ws://$(grep -o '127\.0\.0\.1:[0-9]*' "$room/tracker.json" | head -1)/
"$linux/freshet-origin" keys --tenant game --keys-dir "$room/keys" >/dev/null
key=$("$linux/freshet-origin" keys --tenant game --keys-dir "$room/keys" --json | grep -o '"key":"[^"]*"' | cut -d'"' -f4)
"$linux/freshet-origin" publish "$room/build" --keys-dir "$room/keys" --content game/demo --version 1.0 \
    --store "$room/store" --tracker "$tracker" >/dev/null
"$linux/freshet-origin" serve --listen 127.0.0.1:0 --store "$room/store" --ready-file "$room/origin.json" --log warn >/dev/null &
until [ -s "$room/origin.json" ]; do sleep 0.1; done
url=$(grep -o 'http://[^"]*' "$room/origin.json")game/demo/channels/live
"$linux/freshet-node" get "$url" --key "$key" --into "$room/linux" --share --seed-for forever --json --log warn >"$room/linux.log" &
until grep -q '"installed"' "$room/linux.log"; do sleep 0.1; done

run() {
    windows /usr/lib/wine/wine64 "$dir/target/$target/debug/$1.exe" "${@:2}"
}
run freshet-node get "$url" --key "$key" --into "$room/http" --no-p2p --json --log warn >"$room/http.log"
run freshet-node get "$url" --key "$key" --into "$room/quic" --goal offload --json --log warn >"$room/quic.log"
for way in http quic; do
    diff -r --exclude .freshet "$room/build" "$room/$way"
    echo "$way: $(tail -1 "$room/$way.log" | grep -o '"bytes":{[^}]*}')"
done
if ! tail -1 "$room/quic.log" | grep -q '"peer":[1-9]'; then
    echo "nothing came from the peer" >&2
    exit 1
fi

echo "== the C library"
windows x86_64-w64-mingw32-gcc -std=c11 -Wall -Wextra -Ic-api/include c-api/tests/exercise.c \
    -o "$dir/target/$target/debug/exercise.exe" -L "$dir/target/$target/debug" -l:freshet.dll -lpthread -static-libgcc
cp "$dir"/root/usr/x86_64-w64-mingw32/lib/libwinpthread-1.dll "$dir/target/$target/debug/" 2>/dev/null || true
mkdir "$room/small"
head -c 6000000 /dev/urandom >"$room/small/data.pak"
echo text >"$room/small/읽어 보기.txt"
"$linux/freshet-origin" publish "$room/small" --keys-dir "$room/keys" --content game/small --version 1.0 --store "$room/store" >/dev/null
run exercise "${url/demo/small}" "$key" "$room/installed"
echo "all of it is well"
